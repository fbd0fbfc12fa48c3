//! Which functions exist for which types.

use super::Type;
use crate::ValueType;
use crate::host::Function;

/// A type in a signature. Lists and maps are of anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum T {
    Any,
    Bool,
    Int,
    Uint,
    Double,
    Str,
    Bytes,
    List,
    Strings,
    Map,
    Time,
    Span,
    Type,
    Optional,
    Quantity,
    Ip,
    Cidr,
    Url,
    Semver,
    Format,
    OptionalFormat,
    OptionalStrings,
}

/// Name, receiver of a method, arguments, result.
type Signature = (&'static str, Option<T>, &'static [T], T);

const SIGNATURES: &[Signature] = &[
    ("size", None, &[T::Str], T::Int),
    ("size", None, &[T::Bytes], T::Int),
    ("size", None, &[T::List], T::Int),
    ("size", None, &[T::Map], T::Int),
    ("size", Some(T::Str), &[], T::Int),
    ("size", Some(T::Bytes), &[], T::Int),
    ("size", Some(T::List), &[], T::Int),
    ("size", Some(T::Map), &[], T::Int),
    ("dyn", None, &[T::Any], T::Any),
    ("type", None, &[T::Any], T::Type),
    ("bool", None, &[T::Bool], T::Bool),
    ("bool", None, &[T::Str], T::Bool),
    ("int", None, &[T::Int], T::Int),
    ("int", None, &[T::Uint], T::Int),
    ("int", None, &[T::Double], T::Int),
    ("int", None, &[T::Str], T::Int),
    ("int", None, &[T::Time], T::Int),
    ("int", None, &[T::Span], T::Int),
    ("uint", None, &[T::Uint], T::Uint),
    ("uint", None, &[T::Int], T::Uint),
    ("uint", None, &[T::Double], T::Uint),
    ("uint", None, &[T::Str], T::Uint),
    ("double", None, &[T::Double], T::Double),
    ("double", None, &[T::Int], T::Double),
    ("double", None, &[T::Uint], T::Double),
    ("double", None, &[T::Str], T::Double),
    ("string", None, &[T::Str], T::Str),
    ("string", None, &[T::Bool], T::Str),
    ("string", None, &[T::Int], T::Str),
    ("string", None, &[T::Uint], T::Str),
    ("string", None, &[T::Double], T::Str),
    ("string", None, &[T::Bytes], T::Str),
    ("string", None, &[T::Time], T::Str),
    ("string", None, &[T::Span], T::Str),
    ("string", None, &[T::Ip], T::Str),
    ("string", None, &[T::Cidr], T::Str),
    ("bytes", None, &[T::Bytes], T::Bytes),
    ("bytes", None, &[T::Str], T::Bytes),
    // Texts
    ("contains", Some(T::Str), &[T::Str], T::Bool),
    ("startsWith", Some(T::Str), &[T::Str], T::Bool),
    ("endsWith", Some(T::Str), &[T::Str], T::Bool),
    ("matches", Some(T::Str), &[T::Str], T::Bool),
    ("matches", None, &[T::Str, T::Str], T::Bool),
    ("find", Some(T::Str), &[T::Str], T::Str),
    ("findAll", Some(T::Str), &[T::Str], T::Strings),
    ("findAll", Some(T::Str), &[T::Str, T::Int], T::Strings),
    ("lowerAscii", Some(T::Str), &[], T::Str),
    ("upperAscii", Some(T::Str), &[], T::Str),
    ("trim", Some(T::Str), &[], T::Str),
    ("reverse", Some(T::Str), &[], T::Str),
    ("charAt", Some(T::Str), &[T::Int], T::Str),
    ("indexOf", Some(T::Str), &[T::Str], T::Int),
    ("indexOf", Some(T::Str), &[T::Str, T::Int], T::Int),
    ("lastIndexOf", Some(T::Str), &[T::Str], T::Int),
    ("lastIndexOf", Some(T::Str), &[T::Str, T::Int], T::Int),
    ("replace", Some(T::Str), &[T::Str, T::Str], T::Str),
    ("replace", Some(T::Str), &[T::Str, T::Str, T::Int], T::Str),
    ("split", Some(T::Str), &[T::Str], T::Strings),
    ("split", Some(T::Str), &[T::Str, T::Int], T::Strings),
    ("substring", Some(T::Str), &[T::Int], T::Str),
    ("substring", Some(T::Str), &[T::Int, T::Int], T::Str),
    ("join", Some(T::List), &[], T::Str),
    ("join", Some(T::List), &[T::Str], T::Str),
    ("format", Some(T::Str), &[T::List], T::Str),
    ("strings.quote", None, &[T::Str], T::Str),
    // Lists
    ("indexOf", Some(T::List), &[T::Any], T::Int),
    ("lastIndexOf", Some(T::List), &[T::Any], T::Int),
    ("isSorted", Some(T::List), &[], T::Bool),
    ("min", Some(T::List), &[], T::Any),
    ("max", Some(T::List), &[], T::Any),
    ("sum", Some(T::List), &[], T::Any),
    // Time
    ("timestamp", None, &[T::Str], T::Time),
    ("timestamp", None, &[T::Int], T::Time),
    ("timestamp", None, &[T::Time], T::Time),
    ("duration", None, &[T::Str], T::Span),
    ("duration", None, &[T::Span], T::Span),
    ("getFullYear", Some(T::Time), &[], T::Int),
    ("getFullYear", Some(T::Time), &[T::Str], T::Int),
    ("getMonth", Some(T::Time), &[], T::Int),
    ("getMonth", Some(T::Time), &[T::Str], T::Int),
    ("getDate", Some(T::Time), &[], T::Int),
    ("getDate", Some(T::Time), &[T::Str], T::Int),
    ("getDayOfMonth", Some(T::Time), &[], T::Int),
    ("getDayOfMonth", Some(T::Time), &[T::Str], T::Int),
    ("getDayOfWeek", Some(T::Time), &[], T::Int),
    ("getDayOfWeek", Some(T::Time), &[T::Str], T::Int),
    ("getDayOfYear", Some(T::Time), &[], T::Int),
    ("getDayOfYear", Some(T::Time), &[T::Str], T::Int),
    ("getHours", Some(T::Time), &[], T::Int),
    ("getHours", Some(T::Time), &[T::Str], T::Int),
    ("getHours", Some(T::Span), &[], T::Int),
    ("getMinutes", Some(T::Time), &[], T::Int),
    ("getMinutes", Some(T::Time), &[T::Str], T::Int),
    ("getMinutes", Some(T::Span), &[], T::Int),
    ("getSeconds", Some(T::Time), &[], T::Int),
    ("getSeconds", Some(T::Time), &[T::Str], T::Int),
    ("getSeconds", Some(T::Span), &[], T::Int),
    ("getMilliseconds", Some(T::Time), &[], T::Int),
    ("getMilliseconds", Some(T::Time), &[T::Str], T::Int),
    ("getMilliseconds", Some(T::Span), &[], T::Int),
    // Optional values
    ("optional.none", None, &[], T::Optional),
    ("optional.of", None, &[T::Any], T::Optional),
    ("optional.ofNonZeroValue", None, &[T::Any], T::Optional),
    ("hasValue", Some(T::Optional), &[], T::Bool),
    ("value", Some(T::Optional), &[], T::Any),
    ("or", Some(T::Optional), &[T::Optional], T::Optional),
    ("orValue", Some(T::Optional), &[T::Any], T::Any),
    ("optional.unwrap", None, &[T::List], T::List),
    ("unwrapOpt", Some(T::List), &[], T::List),
    ("first", Some(T::List), &[], T::Optional),
    ("last", Some(T::List), &[], T::Optional),
    // Quantities
    ("quantity", None, &[T::Str], T::Quantity),
    ("isQuantity", None, &[T::Str], T::Bool),
    ("sign", None, &[T::Quantity], T::Int),
    ("isInteger", Some(T::Quantity), &[], T::Bool),
    ("asInteger", Some(T::Quantity), &[], T::Int),
    ("asApproximateFloat", Some(T::Quantity), &[], T::Double),
    ("add", Some(T::Quantity), &[T::Quantity], T::Quantity),
    ("add", Some(T::Quantity), &[T::Int], T::Quantity),
    ("sub", Some(T::Quantity), &[T::Quantity], T::Quantity),
    ("sub", Some(T::Quantity), &[T::Int], T::Quantity),
    ("isLessThan", Some(T::Quantity), &[T::Quantity], T::Bool),
    ("isGreaterThan", Some(T::Quantity), &[T::Quantity], T::Bool),
    ("compareTo", Some(T::Quantity), &[T::Quantity], T::Int),
    // Addresses
    ("ip", None, &[T::Str], T::Ip),
    ("isIP", None, &[T::Str], T::Bool),
    ("ip.isCanonical", None, &[T::Str], T::Bool),
    ("family", Some(T::Ip), &[], T::Int),
    ("isUnspecified", Some(T::Ip), &[], T::Bool),
    ("isLoopback", Some(T::Ip), &[], T::Bool),
    ("isLinkLocalMulticast", Some(T::Ip), &[], T::Bool),
    ("isLinkLocalUnicast", Some(T::Ip), &[], T::Bool),
    ("isGlobalUnicast", Some(T::Ip), &[], T::Bool),
    ("cidr", None, &[T::Str], T::Cidr),
    ("isCIDR", None, &[T::Str], T::Bool),
    ("containsIP", Some(T::Cidr), &[T::Ip], T::Bool),
    ("containsIP", Some(T::Cidr), &[T::Str], T::Bool),
    ("containsCIDR", Some(T::Cidr), &[T::Cidr], T::Bool),
    ("containsCIDR", Some(T::Cidr), &[T::Str], T::Bool),
    ("ip", Some(T::Cidr), &[], T::Ip),
    ("masked", Some(T::Cidr), &[], T::Cidr),
    ("prefixLength", Some(T::Cidr), &[], T::Int),
    // URLs
    ("url", None, &[T::Str], T::Url),
    ("isURL", None, &[T::Str], T::Bool),
    ("getScheme", Some(T::Url), &[], T::Str),
    ("getHost", Some(T::Url), &[], T::Str),
    ("getHostname", Some(T::Url), &[], T::Str),
    ("getPort", Some(T::Url), &[], T::Str),
    ("getEscapedPath", Some(T::Url), &[], T::Str),
    ("getQuery", Some(T::Url), &[], T::Map),
    // Versions
    ("semver", None, &[T::Str], T::Semver),
    ("isSemver", None, &[T::Str], T::Bool),
    ("major", Some(T::Semver), &[], T::Int),
    ("minor", Some(T::Semver), &[], T::Int),
    ("patch", Some(T::Semver), &[], T::Int),
    ("isLessThan", Some(T::Semver), &[T::Semver], T::Bool),
    ("isGreaterThan", Some(T::Semver), &[T::Semver], T::Bool),
    ("compareTo", Some(T::Semver), &[T::Semver], T::Int),
    // Formats
    ("format.named", None, &[T::Str], T::OptionalFormat),
    ("validate", Some(T::Format), &[T::Str], T::OptionalStrings),
];

/// Whether there is a function, or a method, of this name.
pub(super) fn exists(name: &str, method: bool, more: &[Function]) -> bool {
    let known = SIGNATURES
        .iter()
        .any(|(known, target, ..)| *known == name && target.is_some() == method);
    let given = more
        .iter()
        .any(|function| function.name == name && function.receiver.is_some() == method);
    known || given || (!method && format_constant(name))
}

/// What a call gives, if the types fit.
pub(super) fn result(
    name: &str,
    target: Option<&Type>,
    arguments: &[Type],
    more: &[Function],
) -> Option<Type> {
    if target.is_none() && arguments.is_empty() && format_constant(name) {
        return Some(kind(T::Format));
    }
    let mut results = SIGNATURES
        .iter()
        .filter_map(|(known, receiver, wanted, result)| {
            let receives = match (receiver, target) {
                (None, None) => true,
                (Some(receiver), Some(target)) => takes(*receiver, target),
                _ => false,
            };
            let arguments_fit = wanted.len() == arguments.len()
                && wanted
                    .iter()
                    .zip(arguments)
                    .all(|(wanted, argument)| takes(*wanted, argument));
            (*known == name && receives && arguments_fit).then(|| kind(*result))
        });
    let Some(first) = results.next() else {
        return given(name, target, arguments, more);
    };
    // With operands of any type several may fit; then the result is only known if all agree.
    Some(if results.all(|other| other == first) {
        first
    } else {
        Type::Dyn
    })
}

/// What a call of one of the functions gives that not every expression has.
fn given(name: &str, target: Option<&Type>, arguments: &[Type], more: &[Function]) -> Option<Type> {
    let fits = |wanted: ValueType, found: &Type| match (wanted, found) {
        (ValueType::List, Type::List(_)) | (ValueType::Map, Type::Map(..)) => true,
        (wanted, found) => super::fits(found, &Type::from(wanted)),
    };
    let function = more.iter().find(|function| {
        let receives = match (function.receiver, target) {
            (None, None) => true,
            (Some(receiver), Some(target)) => fits(receiver, target),
            _ => false,
        };
        let given = function.arguments.iter().zip(arguments);
        function.name == name
            && receives
            && function.arguments.len() == arguments.len()
            && given
                .into_iter()
                .all(|(wanted, found)| fits(*wanted, found))
    });
    function.map(|function| Type::from(function.result))
}

/// `format.dns1123Label()` and its like.
fn format_constant(name: &str) -> bool {
    let name = name.strip_prefix("format.");
    name.and_then(crate::functions::format::named).is_some()
}

fn takes(wanted: T, found: &Type) -> bool {
    match (wanted, found) {
        (T::Any, _) | (_, Type::Dyn) => true,
        (T::List | T::Strings, Type::List(_))
        | (T::Map, Type::Map(..))
        | (T::Optional, Type::Optional(_)) => true,
        (wanted, found) => kind(wanted) == *found,
    }
}

fn kind(t: T) -> Type {
    let optional = |inner: Type| Type::Optional(Box::new(inner));
    let strings = || Type::List(Box::new(Type::String));
    match t {
        T::Any => Type::Dyn,
        T::Bool => Type::Bool,
        T::Int => Type::Int,
        T::Uint => Type::Uint,
        T::Double => Type::Double,
        T::Str => Type::String,
        T::Bytes => Type::Bytes,
        T::List => Type::List(Box::new(Type::Dyn)),
        T::Strings => strings(),
        T::Map => Type::Map(Box::new(Type::Dyn), Box::new(Type::Dyn)),
        T::Time => Type::Timestamp,
        T::Span => Type::Duration,
        T::Type => Type::Meta,
        T::Optional => optional(Type::Dyn),
        T::Quantity => Type::Named("kubernetes.Quantity"),
        T::Ip => Type::Named("net.IP"),
        T::Cidr => Type::Named("net.CIDR"),
        T::Url => Type::Named("kubernetes.URL"),
        T::Semver => Type::Named("kubernetes.Semver"),
        T::Format => Type::Named("kubernetes.NamedFormat"),
        T::OptionalFormat => optional(Type::Named("kubernetes.NamedFormat")),
        T::OptionalStrings => optional(strings()),
    }
}
