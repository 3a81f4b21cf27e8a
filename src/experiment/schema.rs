//! The JSON Schema of the file that a user writes, for editors that complete and check TOML.
//!
//! It is made from the config's own structs and from the catalogs, so that it cannot say
//! anything else than they do. Draft-07 is what TOML editors understand.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::config::{Config, KEYS};
use super::sweep::FIXED;
use crate::catalog::Catalog;
use crate::{
    aggregators, attacks, datasets, downfalls, models, partitions, poisons, preaggregators,
    systems, threats,
};

/// The schema of an experiment file.
pub fn schema() -> Schema {
    SchemaSettings::draft07()
        .with_transform(RecursiveTransform(without_null))
        .into_generator()
        .into_root_schema_for::<Config>()
}

/// Says of a value that may be left out nothing about null, which TOML does not have.
fn without_null(schema: &mut Schema) {
    if schema.get("default").is_some_and(Value::is_null) {
        schema.remove("default");
    }
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
}

/// The schema as it is kept in `byzlab.schema.json`.
pub fn text() -> String {
    format!("{:#}\n", schema().as_value())
}

// One function for each key that names members of a catalog.

pub(super) fn dataset(generator: &mut SchemaGenerator) -> Schema {
    choice(generator, &datasets::CATALOG)
}

pub(super) fn partition(generator: &mut SchemaGenerator) -> Schema {
    with_default(choice(generator, &partitions::CATALOG), "iid")
}

pub(super) fn model(generator: &mut SchemaGenerator) -> Schema {
    choice(generator, &models::CATALOG)
}

pub(super) fn system(generator: &mut SchemaGenerator) -> Schema {
    with_default(choice(generator, &systems::CATALOG), "central")
}

pub(super) fn placement(generator: &mut SchemaGenerator) -> Schema {
    with_default(choice(generator, &threats::CATALOG), "first")
}

pub(super) fn rule(generator: &mut SchemaGenerator) -> Schema {
    choice(generator, &aggregators::CATALOG)
}

pub(super) fn preaggregators(generator: &mut SchemaGenerator) -> Schema {
    one_or_many(&choice(generator, &preaggregators::CATALOG))
}

pub(super) fn attack(generator: &mut SchemaGenerator) -> Schema {
    or_none(choice(generator, &attacks::CATALOG))
}

pub(super) fn downfall(generator: &mut SchemaGenerator) -> Schema {
    or_none(choice(generator, &downfalls::CATALOG))
}

pub(super) fn poison(generator: &mut SchemaGenerator) -> Schema {
    or_none(choice(generator, &poisons::CATALOG))
}

pub(super) fn like(_: &mut SchemaGenerator) -> Schema {
    any_choice()
}

pub(super) fn likes(_: &mut SchemaGenerator) -> Schema {
    one_or_many(&any_choice())
}

/// Axes: arrays at dotted keys, or at keys in nested tables.
pub(super) fn sweep(_: &mut SchemaGenerator) -> Schema {
    let swept = KEYS.iter().filter(|key| !FIXED.contains(key));
    let axes: Map<String, Value> =
        swept.map(|key| ((*key).to_owned(), json!({ "type": "array", "minItems": 1 }))).collect();
    json_schema!({
        "type": "object",
        "properties": axes,
        "additionalProperties": { "type": ["array", "object"] },
    })
}

/// A member of `catalog`: its name, or a table from its name to its parameters.
fn choice<T: ?Sized, C>(generator: &mut SchemaGenerator, catalog: &Catalog<T, C>) -> Schema {
    if catalog.entries.is_empty() {
        return any_choice();
    }
    let names: Vec<&str> = catalog.entries.iter().map(|entry| entry.name).collect();
    let mut forms = vec![json!({ "type": "string", "enum": names })];
    for entry in catalog.entries {
        let prefix = format!("{}.{}", catalog.kind.replace(' ', "_"), entry.name);
        let mut parameters = embedded(generator, &prefix, (entry.parameters)());
        parameters.insert("description".to_owned(), json!(entry.summary));
        forms.push(json!({
            "type": "object",
            "properties": { entry.name: parameters },
            "required": [entry.name],
            "additionalProperties": false,
        }));
    }
    json_schema!({ "oneOf": forms })
}

/// A member of a catalog that is not listed here.
fn any_choice() -> Schema {
    json_schema!({ "oneOf": [
        { "type": "string" },
        {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": { "type": "object" },
        },
    ] })
}

fn with_default(mut schema: Schema, name: &str) -> Schema {
    schema.insert("default".to_owned(), json!(name));
    schema
}

/// The choice or `none`, which is the default.
fn or_none(mut choice: Schema) -> Schema {
    if let Some(Value::Array(names)) = choice.pointer_mut("/oneOf/0/enum") {
        names.insert(0, json!("none"));
    }
    with_default(choice, "none")
}

fn one_or_many(choice: &Schema) -> Schema {
    json_schema!({ "oneOf": [choice, { "type": "array", "items": choice }] })
}

/// A complete schema as a part of another: its definitions move to the whole's, under names
/// that no other part has.
fn embedded(generator: &mut SchemaGenerator, prefix: &str, mut part: Schema) -> Schema {
    for only_at_the_root in ["$schema", "title"] {
        part.remove(only_at_the_root);
    }
    let definitions = part.remove("$defs");
    let mut part = part.to_value();
    move_references(&mut part, prefix);
    if let Some(Value::Object(definitions)) = definitions {
        for (name, mut definition) in definitions {
            move_references(&mut definition, prefix);
            generator.definitions_mut().insert(format!("{prefix}.{name}"), definition);
        }
    }
    Schema::try_from(part).expect("a schema stays one")
}

fn move_references(value: &mut Value, prefix: &str) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                match value.as_str().and_then(|text| text.strip_prefix("#/$defs/")) {
                    Some(name) if key == "$ref" => {
                        *value = json!(format!("#/definitions/{prefix}.{name}"));
                    }
                    _ => move_references(value, prefix),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| move_references(item, prefix)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::SECTIONS;
    use super::*;

    /// The dotted keys of the schema, sections resolved.
    fn keys_of(schema: &Schema) -> Vec<String> {
        let mut keys = keys_within(schema, schema.as_value(), "");
        keys.retain(|key| key != "sweep");
        keys
    }

    fn keys_within(schema: &Schema, table: &Value, above: &str) -> Vec<String> {
        let mut keys = Vec::new();
        for (name, property) in table["properties"].as_object().unwrap() {
            let key = format!("{above}{name}");
            let reference = property.pointer("/allOf/0/$ref").and_then(Value::as_str);
            let inner = reference.and_then(|reference| schema.pointer(&reference[1..]));
            match inner.filter(|inner| inner.get("properties").is_some()) {
                Some(section) => {
                    assert!(SECTIONS.contains(&key.as_str()), "{key} is missing in SECTIONS");
                    keys.extend(keys_within(schema, section, &format!("{key}.")));
                }
                None => keys.push(key),
            }
        }
        keys
    }

    #[test]
    fn the_list_of_keys_is_that_of_the_structs() {
        let mut listed: Vec<String> = KEYS.iter().map(ToString::to_string).collect();
        listed.sort();
        let mut declared = keys_of(&schema());
        declared.sort();
        assert_eq!(listed, declared);
    }

    #[test]
    fn every_key_is_documented() {
        let schema = schema();
        for key in keys_of(&schema).iter().filter(|key| !key.contains('.')) {
            let pointer = format!("/properties/{key}/description");
            assert!(schema.pointer(&pointer).is_some(), "{key} has no description");
        }
    }

    #[test]
    fn members_offer_their_name_and_their_parameters() {
        let schema = schema();
        let rule = &schema.as_value()["definitions"]["Aggregation"]["properties"]["rule"];
        let entry = aggregators::CATALOG.entries[0].name;
        assert_eq!(rule["oneOf"][0]["enum"][0], entry);
        let parameters = &rule["oneOf"][1]["properties"][entry];
        assert_eq!(parameters["additionalProperties"], false);
        assert!(parameters.get("$schema").is_none());
    }

    #[test]
    fn definitions_of_members_do_not_mix() {
        let mut generator = SchemaSettings::draft07().into_generator();
        let part = |words: &str| {
            json_schema!({
                "properties": { "kind": { "$ref": "#/$defs/Kind" } },
                "$defs": { "Kind": { "enum": [words] } },
            })
        };
        let first = embedded(&mut generator, "one", part("a"));
        embedded(&mut generator, "two", part("b"));
        assert_eq!(first.as_value()["properties"]["kind"]["$ref"], "#/definitions/one.Kind");
        assert_eq!(generator.definitions()["one.Kind"]["enum"][0], "a");
        assert_eq!(generator.definitions()["two.Kind"]["enum"][0], "b");
    }
}
