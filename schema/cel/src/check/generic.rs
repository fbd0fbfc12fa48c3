//! Methods of lists and optional values, whose types hang on what is in them.

use super::{Type, assignable, common, fits};

/// What a call gives: nothing if the types do not fit. None if it is no such call.
pub(super) fn result(
    name: &str,
    target: Option<&Type>,
    arguments: &[Type],
) -> Option<Option<Type>> {
    match (name, target, arguments) {
        ("optional.of" | "optional.ofNonZeroValue", None, [inner]) => {
            Some(Some(optional(inner.clone())))
        }
        ("optional.unwrap", None, [Type::List(item)]) => Some(unwrapped(item)),
        (name, Some(Type::Optional(inner)), arguments) => of_optional(name, inner, arguments),
        (name, Some(Type::List(item)), arguments) => of_list(name, item, arguments),
        _ => None,
    }
}

fn of_optional(name: &str, inner: &Type, arguments: &[Type]) -> Option<Option<Type>> {
    Some(match (name, arguments) {
        ("value", []) => Some(inner.clone()),
        ("orValue", [other]) => either(inner, other),
        ("or", [Type::Optional(other)]) => either(inner, other).map(optional),
        _ => return None,
    })
}

fn of_list(name: &str, item: &Type, arguments: &[Type]) -> Option<Option<Type>> {
    Some(match (name, arguments) {
        ("first" | "last", []) => Some(optional(item.clone())),
        ("unwrapOpt", []) => unwrapped(item),
        ("min" | "max", []) => comparable(item).then(|| item.clone()),
        ("isSorted", []) => comparable(item).then_some(Type::Bool),
        ("sum", []) => summable(item).then(|| item.clone()),
        ("indexOf" | "lastIndexOf", [value]) => assignable(item, value).then_some(Type::Int),
        ("join", []) => fits(item, &Type::String).then_some(Type::String),
        ("join", [separator]) => {
            let fit = fits(item, &Type::String) && fits(separator, &Type::String);
            fit.then_some(Type::String)
        }
        _ => return None,
    })
}

fn optional(inner: Type) -> Type {
    Type::Optional(Box::new(inner))
}

/// The type of one value or another.
fn either(one: &Type, other: &Type) -> Option<Type> {
    assignable(one, other).then(|| common(vec![one.clone(), other.clone()]))
}

fn unwrapped(item: &Type) -> Option<Type> {
    match item {
        Type::Optional(inner) => Some(Type::List(inner.clone())),
        Type::Dyn => Some(Type::List(Box::new(Type::Dyn))),
        _ => None,
    }
}

fn comparable(item: &Type) -> bool {
    let more = [Type::Bool, Type::String, Type::Bytes, Type::Timestamp];
    summable(item) || more.contains(item)
}

fn summable(item: &Type) -> bool {
    let known = [
        Type::Dyn,
        Type::Int,
        Type::Uint,
        Type::Double,
        Type::Duration,
    ];
    known.contains(item)
}
