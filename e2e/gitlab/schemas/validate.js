// validate.js NODE_MODULES SCHEMA FILE [SCHEMA...]: is the file valid against the JSON
// schema (draft 4 or 7), which may refer to others beside it? What is wrong goes to stderr,
// and the exit code is 1.
"use strict";
const [modules, schema, file, ...others] = process.argv.slice(2);
const Ajv = require(modules + "/ajv");
const ajv = new Ajv({ schemaId: "auto", allErrors: true, unknownFormats: "ignore", logger: false });
for (const o of others) ajv.addSchema(require(o), new URL(require("path").basename(o), require(schema).$id).href);
ajv.addMetaSchema(require(modules + "/ajv/lib/refs/json-schema-draft-04.json"));
const valid = ajv.compile(require(schema));
if (!valid(JSON.parse(require("fs").readFileSync(file, "utf8")))) {
  console.error(JSON.stringify(valid.errors, null, 1));
  process.exit(1);
}
