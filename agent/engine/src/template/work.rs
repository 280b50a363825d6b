//! What a template may have done for it by filters and methods.
//!
//! Fuel counts instructions, and one that calls a filter may take any time and memory. So each call is charged by the
//! bytes that it goes through and makes, before it is made; those that make much of little are not there at all.
//! Operators cannot be charged: `~`, `+`, `*` and `in` are within the virtual machine.

use minijinja::value::{Rest, Value, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, ErrorKind, State, filters};
use minijinja_contrib::pycompat::unknown_method_callback;

/// Bytes that the calls of one rendering may go through: many times what the longest conversation needs.
const WORK: usize = 256 << 20;
/// What an element of a list counts, in bytes.
const ELEMENT: usize = 24;
/// What each level that an element is nested deep counts besides: its indentation, at the most.
const LEVEL: usize = 8;
/// How much longer text gets by being escaped.
const ESCAPED: usize = 6;

/// Filters of Jinja that no chat template needs, and that make lists and text of any length of a number, or take long.
const REMOVED: [&str; 9] = [
    "batch", "chain", "format", "groupby", "indent", "pprint", "slice", "unique", "zip",
];

/// Bytes that calls may still go through in this rendering.
struct Left(usize);

impl Left {
    fn take(&mut self, bytes: usize) -> Result<(), Error> {
        let left = self.0.checked_sub(bytes).ok_or_else(|| {
            let reason = "its filters go through too much; send fewer messages";
            Error::new(ErrorKind::InvalidOperation, reason)
        })?;
        self.0 = left;
        Ok(())
    }

    /// Takes all that a value shows, each character as `factor` bytes, and tells how much that was. What is referred to
    /// twice counts twice, as it would be shown twice.
    fn take_whole(&mut self, value: &Value, factor: usize) -> Result<usize, Error> {
        let before = self.0;
        self.take_nested(value, factor, 0)?;
        Ok(before - self.0)
    }

    fn take_nested(&mut self, value: &Value, factor: usize, depth: usize) -> Result<(), Error> {
        if let Some(text) = value.as_str() {
            return self.take(text.len() * factor);
        }
        self.take(ELEMENT + LEVEL * depth)?;
        if !matches!(
            value.kind(),
            ValueKind::Seq | ValueKind::Iterable | ValueKind::Map
        ) {
            return Ok(());
        }
        let is_map = value.kind() == ValueKind::Map;
        for element in value.try_iter()? {
            self.take_nested(&element, factor, depth + 1)?;
            if is_map {
                self.take_nested(&value.get_item(&element)?, factor, depth + 1)?;
            }
        }
        Ok(())
    }

    /// Takes the elements of a list, each as so many bytes, or the characters of text.
    fn take_elements(&mut self, value: &Value, bytes: usize) -> Result<(), Error> {
        match value.len() {
            Some(elements) => self.take(elements.saturating_mul(bytes)),
            None if value.kind() == ValueKind::Iterable => {
                value.try_iter()?.try_for_each(|_| self.take(bytes))
            }
            None => self.take(bytes),
        }
    }
}

/// Has all filters and methods charged, and takes away what no conversation needs.
pub(super) fn limit(environment: &mut Environment<'static>) {
    REMOVED.iter().for_each(|name| environment.remove_filter(name));
    // It shows all there is, as often as it is referred to.
    environment.remove_global("debug");
    for (name, filter) in charged_filters() {
        environment.add_filter(name, move |state: &mut State, args: Rest<ValueOrKwargs>| {
            let args = args.into_values();
            charge(state, name, &args)?;
            filter.call(state, &args)
        });
    }
    environment.set_unknown_method_callback(|state, value, method, args| {
        if method == "format" {
            return Err(Error::from(ErrorKind::UnknownMethod));
        }
        let all: Vec<Value> = std::iter::once(value).chain(args).cloned().collect();
        match (method, all.as_slice()) {
            ("join", [joiner, list, ..]) => charge(state, method, &[list.clone(), joiner.clone()])?,
            _ => charge(state, method, &all)?,
        }
        unknown_method_callback(state, value, method, args)
    });
}

/// All but the removed ones, and those whose work is the same whatever they are given.
fn charged_filters() -> Vec<(&'static str, Value)> {
    vec![
        ("bool", Value::from_function(filters::bool)),
        ("capitalize", Value::from_function(filters::capitalize)),
        ("count", Value::from_function(filters::length)),
        ("dictsort", Value::from_function(filters::dictsort)),
        ("e", Value::from_function(filters::escape)),
        ("escape", Value::from_function(filters::escape)),
        ("float", Value::from_function(filters::float)),
        ("int", Value::from_function(filters::int)),
        ("join", Value::from_function(filters::join)),
        ("last", Value::from_function(filters::last)),
        ("length", Value::from_function(filters::length)),
        ("lines", Value::from_function(filters::lines)),
        ("list", Value::from_function(filters::list)),
        ("lower", Value::from_function(filters::lower)),
        ("map", Value::from_function(filters::map)),
        ("max", Value::from_function(filters::max)),
        ("min", Value::from_function(filters::min)),
        ("reject", Value::from_function(filters::reject)),
        ("rejectattr", Value::from_function(filters::rejectattr)),
        ("replace", Value::from_function(filters::replace)),
        ("reverse", Value::from_function(filters::reverse)),
        ("safe", Value::from_function(filters::safe)),
        ("select", Value::from_function(filters::select)),
        ("selectattr", Value::from_function(filters::selectattr)),
        ("sort", Value::from_function(filters::sort)),
        ("split", Value::from_function(filters::split)),
        ("string", Value::from_function(filters::string)),
        ("sum", Value::from_function(filters::sum)),
        ("title", Value::from_function(filters::title)),
        ("tojson", Value::from_function(filters::tojson)),
        ("trim", Value::from_function(filters::trim)),
        ("upper", Value::from_function(filters::upper)),
    ]
}

/// Charges a call of a filter, or of a method on its first argument.
fn charge(state: &mut State, name: &str, args: &[Value]) -> Result<(), Error> {
    let left = state.get_or_insert_extension_with(|| Left(WORK));
    match (name, args) {
        ("length" | "count" | "last", [list]) if list.kind() == ValueKind::Seq => Ok(()),
        ("get" | "items" | "keys" | "values", [map, ..]) if map.kind() == ValueKind::Map => Ok(()),
        ("list", [value]) => left.take_elements(value, ELEMENT),
        ("length" | "count" | "last" | "reverse", [list]) if list.as_str().is_none() => {
            left.take_elements(list, ELEMENT)
        }
        ("map" | "select" | "selectattr" | "reject" | "rejectattr", [list, rest @ ..]) => {
            let each = whole(left, rest, 1)?;
            left.take_elements(list, ELEMENT + each)
        }
        ("join", [list, rest @ ..]) => {
            let joiner = whole(left, rest, 1)?;
            left.take_whole(list, 1)?;
            left.take_elements(list, joiner)
        }
        ("replace", [text, from, to, ..]) => {
            whole(left, args, 1)?;
            left.take(pieces(text, from.as_str()).saturating_mul(to.as_str().map_or(0, str::len)))
        }
        ("split" | "lines" | "splitlines", [text, rest @ ..]) => {
            whole(left, args, 1)?;
            let separator = rest.first().and_then(Value::as_str);
            left.take(pieces(text, separator).saturating_mul(ELEMENT))
        }
        ("trim" | "strip" | "lstrip" | "rstrip", [text, characters, ..]) => {
            let characters = left.take_whole(characters, 1)?;
            left.take_whole(text, characters).map(drop)
        }
        ("tojson", [_, rest @ ..]) => {
            check_indentation(rest)?;
            whole(left, args, ESCAPED).map(drop)
        }
        ("escape" | "e", _) => whole(left, args, ESCAPED).map(drop),
        _ => whole(left, args, 1).map(drop),
    }
}

fn whole(left: &mut Left, values: &[Value], factor: usize) -> Result<usize, Error> {
    let mut sum = 0;
    for value in values {
        sum += left.take_whole(value, factor)?;
    }
    Ok(sum)
}

/// The pieces that a separator makes of text, or more: where none is given, there are no more than characters.
fn pieces(text: &Value, separator: Option<&str>) -> usize {
    let text = text.as_str().unwrap_or_default();
    match separator {
        Some(separator) => text.matches(separator).count() + 1,
        None => text.split_whitespace().count() + text.lines().count(),
    }
}

/// JSON's indentation may be a keyword or the first argument.
fn check_indentation(args: &[Value]) -> Result<(), Error> {
    for arg in args {
        let named = arg.get_attr("indent").unwrap_or_default();
        for indentation in [arg, &named] {
            if usize::try_from(indentation.clone()).is_ok_and(|spaces| spaces > LEVEL) {
                let reason = format!("JSON is indented by {LEVEL} spaces at the most");
                return Err(Error::new(ErrorKind::InvalidOperation, reason));
            }
        }
    }
    Ok(())
}
