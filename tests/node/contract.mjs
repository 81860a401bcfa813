// The published contract as an outsider reads it: one check per event type, for headers, key and body.
import { readFile } from "node:fs/promises";
import { Ajv } from "ajv";
import formats from "ajv-formats";

const ROOT = "asyncapi.json";

/** Return `(topic, message) => reasons`: why a message is not what the document at `path` promises. */
export async function contractOf(path) {
  const document = JSON.parse(await readFile(path, "utf-8"));
  const { messages, schemas } = document.components;
  for (const { payload } of Object.values(messages)) close(payload);
  const ajv = formats.default(new Ajv({ allErrors: true, strict: false }));
  ajv.addSchema({ components: document.components }, ROOT, undefined, false);
  const documented = new Set(Object.keys(schemas.headers.properties));
  const spoken = Object.fromEntries(Object.values(document.channels).map((one) => [one.address, one.messages]));
  const check = (type, part) => ajv.getSchema(`${ROOT}#/components/messages/${type}/${part}`);

  return (topic, message) => {
    const headers = textOf(message.headers);
    const type = headers.ce_type;
    if (!(type in (spoken[topic] ?? {}))) return [`type ${type} is not documented for this topic`];
    const key = message.key?.toString("utf-8");
    return [
      ...Object.keys(headers).filter((name) => !documented.has(name)).map((name) => `header ${name} is not documented`),
      ...told("header", check(type, "headers"), headers),
      ...told("key", check(type, "bindings/kafka/key"), key),
      ...(key === headers.ce_partitionkey ? [] : ["key is not ce_partitionkey"]),
      ...told("body", check(type, "payload"), parsed(message.value)),
    ];
  };
}

/** A reader passes over unknown fields; this check is about the writer, who writes nothing undocumented. */
function close(schema) {
  if (schema.properties) {
    schema.additionalProperties = false;
    Object.values(schema.properties).forEach(close);
  }
  for (const inner of [schema.items, ...(schema.anyOf ?? []), ...(schema.prefixItems ?? [])]) if (inner) close(inner);
}

/** Say what is wrong by place and rule, never by value. */
function told(part, validate, value) {
  if (value === undefined) return [`${part} is missing or cannot be read`];
  if (validate(value)) return [];
  return validate.errors.map(({ instancePath, message, params }) =>
    [part, instancePath, message, params.additionalProperty].filter(Boolean).join(" "),
  );
}

function textOf(headers) {
  const strict = new TextDecoder("utf-8", { fatal: true });
  const readable = (value) => {
    try {
      return strict.decode(value);
    } catch {
      return null;
    }
  };
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, readable(value)]));
}

function parsed(value) {
  try {
    return JSON.parse(value.toString("utf-8"));
  } catch {
    return undefined;
  }
}
