// Hold AsyncAPI documents against the specification: node validate.mjs FILE…
// Prints {file: [what is wrong, errors and warnings]}; the exit code is 1 where anything is wrong.
import { readFile } from "node:fs/promises";
import { DiagnosticSeverity, Parser } from "@asyncapi/parser";

const parser = new Parser();
const summary = {};
for (const file of process.argv.slice(2)) {
  const { diagnostics } = await parser.parse(await readFile(file, "utf-8"));
  summary[file] = diagnostics
    .filter(({ severity }) => severity <= DiagnosticSeverity.Warning)
    .map(({ message, path }) => `${path.join(".")}: ${message}`);
}
console.log(JSON.stringify(summary));
process.exitCode = Object.values(summary).some((wrong) => wrong.length) ? 1 : 0;
