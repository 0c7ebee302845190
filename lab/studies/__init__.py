"""The studies, a folder each: what is asked of models, and how it is measured. No other part imports from here.

Entry points name them, and they import each other through `lab.studies.shared` alone.
"""
