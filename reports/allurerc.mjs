// Allure 3: npx allure@3 generate --config reports/allurerc.mjs allure-results
import { defineConfig } from "allure";

export default defineConfig({
  name: "Hypotheses",
  output: "./allure-report",
  categories: {
    rules: [
      { name: "Refuted", matchers: { statuses: ["failed"] } },
      { name: "Inconclusive", matchers: { statuses: ["unknown"] } },
      { name: "Invalid", matchers: { statuses: ["broken"], message: /lab\.Invalid:/ } },
      { name: "Infrastructure", matchers: { statuses: ["broken"] } },
    ],
  },
  plugins: { awesome: { options: { singleFile: true, reportLanguage: "en", groupBy: ["epic", "feature"] } } },
});
