// validate.js NODE_MODULES SCHEMA FILE: is the file valid against the JSON schema
// (draft 4 or 7)? What is wrong goes to stderr, and the exit code is 1.
"use strict";
const [modules, schema, file] = process.argv.slice(2);
const Ajv = require(modules + "/ajv");
const ajv = new Ajv({ schemaId: "auto", allErrors: true });
ajv.addMetaSchema(require(modules + "/ajv/lib/refs/json-schema-draft-04.json"));
const valid = ajv.compile(require(schema));
if (!valid(JSON.parse(require("fs").readFileSync(file, "utf8")))) {
  console.error(JSON.stringify(valid.errors, null, 1));
  process.exit(1);
}
