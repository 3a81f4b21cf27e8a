//! The schema that editors read is the one that the program means.

#![allow(clippy::disallowed_methods, reason = "tests may read files")]

use byzlab::experiment::schema;
use serde_json::Value;

#[test]
fn the_file_has_not_drifted() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/byzlab.schema.json");
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        written == schema::text(),
        "byzlab.schema.json has drifted: run `byzlab schema > byzlab.schema.json`"
    );
}

#[test]
fn every_reference_leads_somewhere() {
    let schema = schema::schema();
    let mut found = 0;
    each_reference(schema.as_value(), &mut |reference| {
        let pointer = reference.strip_prefix('#').expect("references stay inside");
        assert!(schema.pointer(pointer).is_some(), "{reference} leads nowhere");
        found += 1;
    });
    assert!(found > 5, "{found} references");
}

fn each_reference(value: &Value, visit: &mut dyn FnMut(&str)) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                match value {
                    Value::String(reference) if key == "$ref" => visit(reference),
                    _ => each_reference(value, visit),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| each_reference(item, visit)),
        _ => {}
    }
}
