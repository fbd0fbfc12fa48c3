//! kubectl's `-o jsonpath=`: text with `{…}` parts. A part is a path (`.metadata.name`), a quoted
//! text (`"\n"`), or `range PATH` … `end`. The paths themselves are RFC 9535.

use serde_json::Value;
use serde_json_path::JsonPath;

/// A parsed template.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    Text(String),
    Path(JsonPath),
    Range(JsonPath, Vec<Part>),
}

impl Template {
    /// Reads a template.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if !text.contains('{') {
            // kubectl accepts a bare path: .metadata.name
            return Ok(Self {
                parts: vec![Part::Path(path(text)?)],
            });
        }
        let mut rest = text;
        let parts = parse_parts(&mut rest, false)?;
        Ok(Self { parts })
    }

    /// The text for `value`; several hits of one path are separated by a space.
    pub(crate) fn render(&self, value: &Value) -> Result<String, String> {
        let mut out = String::new();
        render(&self.parts, value, &mut out);
        Ok(out)
    }
}

fn parse_parts(rest: &mut &str, inside: bool) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    loop {
        let Some(open) = rest.find('{') else {
            if inside {
                return Err("jsonpath: {range} without {end}".to_owned());
            }
            push_text(&mut parts, rest);
            *rest = "";
            return Ok(parts);
        };
        push_text(&mut parts, &rest[..open]);
        let close = closing_brace(&rest[open..]).ok_or("jsonpath: { without }")? + open;
        let body = rest[open + 1..close].trim();
        *rest = &rest[close + 1..];
        if body == "end" {
            return if inside {
                Ok(parts)
            } else {
                Err("jsonpath: {end} without {range}".to_owned())
            };
        } else if let Some(of) = body.strip_prefix("range ") {
            let over = path(of.trim())?;
            parts.push(Part::Range(over, parse_parts(rest, true)?));
        } else if body.starts_with('"') {
            let text = serde_json::from_str(body)
                .map_err(|_| format!("jsonpath: {body} is not a text"))?;
            parts.push(Part::Text(text));
        } else {
            parts.push(Part::Path(path(body)?));
        }
    }
}

/// Where the brace that `text` starts with is closed; braces inside quotes do not count.
fn closing_brace(text: &str) -> Option<usize> {
    let mut quote = None;
    for (index, c) in text.char_indices() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            (None, '}') => return Some(index),
            _ => {}
        }
    }
    None
}

fn push_text(parts: &mut Vec<Part>, text: &str) {
    if !text.is_empty() {
        parts.push(Part::Text(text.to_owned()));
    }
}

fn path(text: &str) -> Result<JsonPath, String> {
    let text = text.strip_prefix('$').unwrap_or(text);
    let text = text.strip_prefix('@').unwrap_or(text);
    // kubectl lets the leading dot be left out.
    let dotted = if text.is_empty() || text.starts_with(['.', '[']) {
        text.to_owned()
    } else {
        format!(".{text}")
    };
    let whole = if dotted == "." {
        "$".to_owned()
    } else {
        format!("${dotted}")
    };
    JsonPath::parse(&whole).map_err(|error| format!("jsonpath {text:?}: {error}"))
}

fn render(parts: &[Part], value: &Value, out: &mut String) {
    for part in parts {
        match part {
            Part::Text(text) => out.push_str(text),
            Part::Path(path) => {
                let hits: Vec<String> = path.query(value).iter().map(|hit| plain(hit)).collect();
                out.push_str(&hits.join(" "));
            }
            Part::Range(over, inner) => {
                for item in over.query(value).iter() {
                    render(inner, item, out);
                }
            }
        }
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rendered(template: &str) -> String {
        let list = json!({"items": [
            {"metadata": {"name": "a"}, "n": 1, "c": [{"type": "X", "s": "1"}, {"type": "Y", "s": "2"}]},
            {"metadata": {"name": "b"}, "n": 2},
        ]});
        Template::parse(template).unwrap().render(&list).unwrap()
    }

    #[test]
    fn templates_work_as_in_kubectl() {
        assert_eq!(rendered("{.items[*].metadata.name}"), "a b");
        assert_eq!(rendered(".items[0].n"), "1");
        assert_eq!(
            rendered(r#"{range .items[*]}{.metadata.name}={.n}{"\n"}{end}"#),
            "a=1\nb=2\n"
        );
        assert_eq!(rendered(r#"{.items[0].c[?(@.type=="Y")].s}"#), "2");
        assert_eq!(rendered("{.nothing}"), "");
    }

    #[test]
    fn mistakes_are_named() {
        for bad in ["{.a", "{range .a}", "{end}", "{.a[}", "{\"x}"] {
            assert!(Template::parse(bad).is_err(), "{bad}");
        }
    }
}
