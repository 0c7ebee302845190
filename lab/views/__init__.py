"""What is rendered from the journal: cards, figures, pages, Allure. Loads no model; all of it can be made again."""
