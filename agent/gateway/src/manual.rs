//! The document of the management interface as a page for people: HTML that needs no script and nothing from elsewhere.

use serde_json::{Map, Value};

const METHODS: [&str; 6] = ["get", "put", "post", "patch", "delete", "head"];

/// The page of an OpenAPI document.
pub(crate) fn page(document: &Value) -> String {
    let mut page = String::from(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Hearth: the management interface</title>\
         <link rel=\"stylesheet\" href=\"/api/docs.css\"><h1>Hearth: the management interface</h1>",
    );
    push(
        &mut page,
        "<p>{}</p>",
        text(document.pointer("/info/description")),
    );
    page.push_str(
        "<p>A token goes with each request: <code>Authorization: Bearer hearth_…</code>. \
         <a href=\"/api/openapi.json\">The same as OpenAPI 3.1.</a></p>",
    );
    let groups = groups(document);
    contents(&mut page, &groups);
    for (tag, operations) in &groups {
        push(&mut page, "<h2>{}</h2>", tag);
        for operation in operations {
            operation.write(&mut page);
        }
    }
    schemas(&mut page, document);
    page.push_str("</html>\n");
    page
}

/// An operation and where it is found.
struct Operation<'d> {
    method: &'static str,
    path: &'d str,
    body: &'d Value,
}

/// All operations by their tags, in the order of the document.
fn groups(document: &Value) -> Vec<(&str, Vec<Operation<'_>>)> {
    let mut groups: Vec<(&str, Vec<Operation<'_>>)> = Vec::new();
    for (path, item) in object(document.get("paths")) {
        for method in METHODS {
            let Some(body) = item.get(method) else { continue };
            let tag = body.pointer("/tags/0").and_then(Value::as_str).unwrap_or("other");
            let operation = Operation { method, path, body };
            match groups.iter_mut().find(|(known, _)| *known == tag) {
                Some((_, operations)) => operations.push(operation),
                None => groups.push((tag, vec![operation])),
            }
        }
    }
    groups
}

fn contents(page: &mut String, groups: &[(&str, Vec<Operation<'_>>)]) {
    page.push_str("<nav aria-label=\"Contents\"><ul>");
    for operation in groups.iter().flat_map(|(_, operations)| operations) {
        let (id, name) = (operation.id(), operation.name());
        page.push_str(&format!(
            "<li><a href=\"#{}\"><code>{}</code></a>",
            escaped(id),
            escaped(&name)
        ));
    }
    page.push_str("</ul></nav>");
}

impl Operation<'_> {
    fn id(&self) -> &str {
        text(self.body.get("operationId"))
    }

    fn name(&self) -> String {
        format!("{} {}", self.method.to_uppercase(), self.path)
    }

    fn write(&self, page: &mut String) {
        page.push_str(&format!(
            "<h3 id=\"{}\"><code>{}</code></h3>",
            escaped(self.id()),
            escaped(&self.name())
        ));
        push(page, "<p>{}</p>", text(self.body.get("summary")));
        push(page, "<p>{}</p>", text(self.body.get("description")));
        page.push_str("<table>");
        for parameter in self
            .body
            .get("parameters")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            row(
                page,
                text(parameter.get("name")),
                &format!("{}, {}", text(parameter.get("in")), kind(parameter.get("schema"))),
                text(parameter.get("description")),
            );
        }
        if let Some(body) = self.body.get("requestBody") {
            row(page, "body", &content(body), text(body.get("description")));
        }
        for (status, response) in object(self.body.get("responses")) {
            row(
                page,
                status,
                &content(response),
                text(response.get("description")),
            );
        }
        page.push_str("</table>");
    }
}

fn schemas(page: &mut String, document: &Value) {
    page.push_str("<h2>Shapes</h2>");
    for (name, schema) in object(document.pointer("/components/schemas")) {
        page.push_str(&format!(
            "<h3 id=\"shape-{0}\"><code>{0}</code></h3>",
            escaped(name)
        ));
        push(page, "<p>{}</p>", text(schema.get("description")));
        let parts = schema.get("allOf").and_then(Value::as_array);
        page.push_str("<table>");
        for part in parts.into_iter().flatten().chain([schema]) {
            for (field, schema) in object(part.get("properties")) {
                row(page, field, &kind(Some(schema)), text(schema.get("description")));
            }
        }
        page.push_str("</table>");
        if schema.get("properties").is_none() {
            page.push_str(&format!("<p>{}</p>", kind(Some(schema))));
        }
    }
}

/// `what` is HTML already.
fn row(page: &mut String, name: &str, what: &str, said: &str) {
    page.push_str(&format!(
        "<tr><td><code>{}</code><td>{what}<td>{}",
        escaped(name),
        escaped(said)
    ));
}

/// What a body or an answer holds, as HTML.
fn content(of: &Value) -> String {
    let kinds = object(of.get("content"));
    let kinds = kinds.map(|(media, content)| format!("{}: {}", escaped(media), kind(content.get("schema"))));
    kinds.collect::<Vec<_>>().join("<br>")
}

/// What kind of value a schema is for, as HTML.
fn kind(schema: Option<&Value>) -> String {
    let Some(schema) = schema else {
        return String::new();
    };
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        let name = escaped(name.rsplit('/').next().unwrap_or_default());
        return format!("<a href=\"#shape-{name}\">{name}</a>");
    }
    let joined = |values: &Vec<Value>, part: fn(&Value) -> String, by: &str| {
        values.iter().map(part).collect::<Vec<_>>().join(by)
    };
    for (key, by) in [("oneOf", " or "), ("anyOf", " or "), ("allOf", " and ")] {
        if let Some(options) = schema.get(key).and_then(Value::as_array) {
            return joined(options, |option| kind(Some(option)), by);
        }
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return joined(
            values,
            |value| format!("<code>{}</code>", escaped(&value.to_string())),
            ", ",
        );
    }
    let name = match schema.get("type") {
        Some(Value::Array(kinds)) => joined(kinds, |kind| escaped(text(Some(kind))), " or "),
        kind => escaped(text(kind)),
    };
    match schema.get("items") {
        Some(items) => format!("{name} of {}", kind(Some(items))),
        None => name,
    }
}

/// A template with one text in it, unless there is none.
fn push(page: &mut String, template: &str, said: &str) {
    if !said.is_empty() {
        page.push_str(&template.replace("{}", &escaped(said)));
    }
}

fn text(value: Option<&Value>) -> &str {
    value.and_then(Value::as_str).unwrap_or_default()
}

fn object(value: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    value.and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_told_with_what_it_takes_and_answers() {
        let document = serde_json::json!({
            "paths": {"/a/{id}": {"put": {
                "operationId": "put_a_id", "summary": "Sets <it>.", "tags": ["a"],
                "parameters": [{"name": "id", "in": "path", "schema": {"type": "string"}, "description": "Which"}],
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/A"}}}},
                "responses": {"200": {"description": "Done", "content": {}}}
            }}},
            "components": {"schemas": {"A": {"type": "object", "properties": {
                "b": {"type": ["integer", "null"], "description": "How many"}}}}}
        });
        let page = page(&document);
        for part in [
            "<h2>a</h2><h3 id=\"put_a_id\"><code>PUT /a/{id}</code></h3><p>Sets &lt;it&gt;.</p>",
            "<code>id</code><td>path, string<td>Which",
            "application/json: <a href=\"#shape-A\">A</a>",
            "<code>200</code><td><td>Done",
            "<code>b</code><td>integer or null<td>How many",
        ] {
            assert!(page.contains(part), "{part}\nin {page}");
        }
    }
}
