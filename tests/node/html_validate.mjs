// Checks HTML files and prints the findings as JSON.
import { readFile } from "node:fs/promises";
import { HtmlValidate, StaticConfigLoader } from "html-validate";

const htmlvalidate = new HtmlValidate(
  new StaticConfigLoader({
    root: true,
    extends: ["html-validate:recommended"],
    rules: {
      "no-trailing-whitespace": "off", // templates leave some, and no reader meets it
      "void-style": "off", // a matter of taste
      "long-title": "off", // a title names the page and the site
      "doctype-style": "off", // a matter of taste
      "attribute-boolean-style": "off", // the same
      "attribute-empty-style": "off", // the same
      "form-dup-name": "off", // boxes of one question, and a button that sends another command than its form
      "no-implicit-button-type": "error",
      "prefer-native-element": ["error", { exclude: ["region", "status", "alert"] }],
    },
  }),
);
const findings = [];
for (const file of process.argv.slice(2)) {
  const report = await htmlvalidate.validateString(await readFile(file, "utf8"), file);
  for (const result of report.results) {
    for (const message of result.messages) {
      findings.push({ file, said: `${message.line}:${message.column} ${message.ruleId}: ${message.message}` });
    }
  }
}
process.stdout.write(JSON.stringify(findings));
