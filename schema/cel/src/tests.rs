use super::*;
use serde_json::json;

fn run(text: &str) -> Result<String, String> {
    let object = json!({
        "n": 5, "f": 2.5, "s": "text", "nil": null, "yes": true,
        "list": [3, 1, 2], "map": {"x": 1, "y": 2},
        "items": [{"name": "a", "ready": true}, {"name": "b"}],
    });
    let types = BTreeMap::from([("object", ValueType::Dyn)]);
    let values = BTreeMap::from([("object", Value::from(&object))]);
    let program = Program::compile(text, &types, &[HAS_CONDITIONS, PARSE_JSON])
        .map_err(|error| error.to_string())?;
    program
        .evaluate(&values, &(), &mut Budget::new(MAX_STEPS))
        .map(|value| show(&value))
        .map_err(|error| error.to_string())
}

fn show(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Uint(value) => format!("{value}u"),
        Value::Double(value) => format!("{value:?}"),
        Value::String(text) => text.to_string(),
        Value::List(items) => {
            format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(","))
        }
        Value::Optional(None) => "none".into(),
        Value::Optional(Some(value)) => format!("some({})", show(value)),
        other => other.type_name().into(),
    }
}

#[test]
fn values() {
    for (text, result) in [
        ("1 + 2 * 3 - 4", "3"),
        ("-(-7) % 4", "3"),
        ("7 / 2", "3"),
        ("7.0 / 2.0", "3.5"),
        ("0x1F", "31"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("'a' + \"b\" + r'\\n' + '\\u0041'", "ab\\nA"),
        ("'''a\nb'''.size()", "3"),
        ("b'\\xff'.size()", "1"),
        ("!true || 2 > 1 && object.yes", "true"),
        ("object.n == 5.0 && object.n < 5.5", "true"),
        ("object.missing == 1 || true", "true"),
        (
            "object.n in [1, 5] && 'x' in object.map && !(9 in object.list)",
            "true",
        ),
        ("object.list[1]", "1"),
        ("object['s']", "text"),
        ("{'a': 1, 'b': 2}.b", "2"),
        ("has(object.nil) && !has(object.nope)", "true"),
        ("object.?nope.?deep", "none"),
        ("object.?n", "some(5)"),
        ("object[?'nope'].orValue(3)", "3"),
        ("object.list[?9].hasValue()", "false"),
        ("[?object.?nope, 1]", "[1]"),
        ("object.?n.optMap(v, v + 1)", "some(6)"),
        ("object.items.exists(i, i.ready)", "true"),
        ("object.items.filter(i, has(i.ready)).map(i, i.name)", "[a]"),
        ("object.items.map(i, has(i.ready), i.name)", "[a]"),
        ("object.map.all(k, k in ['x', 'y'])", "true"),
        ("object.list.exists_one(i, i > 2)", "true"),
        ("object.yes ? 'y' : 'n'", "y"),
        ("type(1) == int && type(object.f) == double", "true"),
        ("int('12') + int(3.9)", "15"),
        ("string(2.5) + string(1e21) + string(7u)", "2.51e+217"),
        ("'hällo'.substring(1, 3) + 'abc'.charAt(2)", "älc"),
        ("'a,b,c'.split(',', 2)", "[a,b,c]"),
        ("'a-b-a'.replace('a', 'x', 1)", "x-b-a"),
        ("'abcabc'.lastIndexOf('b') + 'abc'.indexOf('z')", "3"),
        ("['a', 'b'].join('-') + ' X '.trim().lowerAscii()", "a-bx"),
        ("'a1b22'.findAll('[0-9]+')", "[1,22]"),
        (
            "object.list.sum() + object.list.max() - object.list.min()",
            "8",
        ),
        ("[1, 2, 2].lastIndexOf(2)", "2"),
        ("[1, 2].isSorted() && !object.list.isSorted()", "true"),
        ("duration('1h30m').getMinutes()", "90"),
        ("string(duration('-1.5s'))", "-1.5s"),
        ("timestamp('2026-02-03T04:05:06Z').getMonth()", "1"),
        ("timestamp('2026-02-03T04:05:06Z').getHours('+01:30')", "5"),
        (
            "timestamp('2026-01-02T00:00:00Z') - timestamp('2026-01-01T00:00:00Z') == duration('24h')",
            "true",
        ),
        ("quantity('1Gi').isGreaterThan(quantity('1G'))", "true"),
        ("quantity('1500m').add(1).compareTo(quantity('2.5'))", "0"),
        ("isQuantity('1gb')", "false"),
        (
            "ip('10.0.0.1').family() == 4 && cidr('10.0.0.0/8').containsIP('10.2.3.4')",
            "true",
        ),
        ("isIP('::ffff:1.2.3.4') || isCIDR('10.0.0.0/33')", "false"),
        ("string(cidr('10.1.2.3/8').masked())", "10.0.0.0/8"),
        (
            "url('https://u@h.example.com:8443/p%20q?a=1&a=2').getHostname()",
            "h.example.com",
        ),
        ("url('https://h:1/p?a=1&a=2').getQuery()['a']", "[1,2]"),
        (
            "semver('1.4.2').isLessThan(semver('1.10.0')) && !isSemver('v1.0')",
            "true",
        ),
        (
            "format.dns1123Label().validate('Bad Name').hasValue()",
            "true",
        ),
        (
            "format.named('uuid').hasValue() && !format.named('nope').hasValue()",
            "true",
        ),
        ("// a comment\n1", "1"),
        ("'[1, {\"a\": null}, \"x\"]'.parseJSON()[0]", "1.0"),
        ("'{\"a\": 1, \"a\": 2}'.parseJSON().a", "2.0"),
        ("hasConditions({'conditions': [1]})", "true"),
        ("object.?n.orValue(1 / 0)", "5"),
        (
            "object.?n.or(1 / 0 == 1 ? object.?n : object.?n)",
            "some(5)",
        ),
        ("[object.?n, object.?nope].unwrapOpt()", "[5]"),
        ("optional.unwrap([object.?n]).first()", "some(5)"),
        ("object.list.last()", "some(2)"),
        ("[].first()", "none"),
        ("type(object.?n) == optional_type", "true"),
        ("'%s %d%%'.format(['a', 5])", "a 5%"),
        (
            "'%s'.format([[{'b': 1.5, 'a': null}, b'x', int, 1u]])",
            "[{a: null, b: 1.5}, x, int, 1]",
        ),
        (
            "'%.2f %e %.0e'.format([2.345, 12345.678, 9])",
            "2.35 1.234568e+04 9e+00",
        ),
        (
            "'%b %o %x %X %x'.format([-5, 8, 255u, 'hi', b'\\x0f'])",
            "-101 10 ff 6869 0f",
        ),
        (
            "'%s %d'.format([1.0 / 0.0, -1.0 / 0.0])",
            "Infinity -Infinity",
        ),
        (
            "'%s %s'.format([duration('90s'), timestamp('2026-01-01T00:00:00Z')])",
            "90s 2026-01-01T00:00:00Z",
        ),
        ("'text'.format([1])", "text"),
        ("optional.none() == null || quantity('1') != null", "true"),
        (
            "[].join('-') + [object.s].join() + ['a'].first().or(object.?s).value()",
            "texta",
        ),
        ("object.?nope.or(optional.of(2)).orValue('x')", "2"),
    ] {
        assert_eq!(run(text).as_deref(), Ok(result), "{text}");
    }
}

#[test]
fn what_cannot_be_evaluated() {
    for (text, error) in [
        ("object.missing", "no such key: missing"),
        ("object.list[-1]", "index out of bounds: -1"),
        ("9223372036854775807 + 1", "integer overflow"),
        ("1 / 0", "divide by zero"),
        ("object.n + object.f", "no such overload"),
        ("object.s && true", "no such overload"),
        ("object.items.exists(i, i.nope)", "no such key: nope"),
        (
            "duration('1x')",
            "type conversion error from 'string' to 'google.protobuf.Duration'",
        ),
        ("optional.none().value()", "optional.none() dereference"),
        ("{'a': 1, 'a': 2}", "Failed with repeated key: a"),
        (
            "''.parseJSON()",
            "failed to parse json: EOF while parsing a value at line 1 column 0",
        ),
        ("dyn(1).parseJSON()", "no such overload"),
        (
            "'%d'.format(['a'])",
            "a value of type string cannot be formatted as %d",
        ),
        (
            "'%s'.format([object.?n])",
            "a value of type optional_type cannot be formatted as %s",
        ),
        ("'%s %s'.format(['a'])", "format: too few values"),
        ("'%'.format(['a'])", "unexpected end of string"),
        ("'%y'.format(['a'])", "unrecognized formatting clause 'y'"),
        ("'%.f'.format([1])", "precision must be a number up to 1000"),
        (
            "'%.9999f'.format([1])",
            "precision must be a number up to 1000",
        ),
        (
            "'%.3'.format([1])",
            "could not find end of precision specifier",
        ),
        ("[1, object.?n].unwrapOpt()", "no such overload"),
        ("[1, 'a'].join()", "no such overload"),
    ] {
        assert_eq!(run(text).unwrap_err(), error, "{text}");
    }
}

#[test]
fn what_cannot_be_compiled() {
    for (text, error) in [
        (
            "1 < 2.0",
            "1:3: found no matching overload for '_<_' applied to '(int, double)'",
        ),
        (
            "5 == 5u",
            "1:3: found no matching overload for '_==_' applied to '(int, uint)'",
        ),
        (
            "null == false",
            "1:6: found no matching overload for '_==_' applied to '(null, bool)'",
        ),
        (
            "[1] == [1.0]",
            "1:5: found no matching overload for '_==_' applied to '(list(int), list(double))'",
        ),
        (
            "'a' - 'b'",
            "1:5: found no matching overload for '_-_' applied to '(string, string)'",
        ),
        (
            "nope",
            "1:1: undeclared reference to 'nope' (in container '')",
        ),
        (
            "true || nofunc(1)",
            "1:15: undeclared reference to 'nofunc' (in container '')",
        ),
        (
            "[1, 2].join('-')",
            "1:12: found no matching overload for 'join' applied to '(list(int), string)'",
        ),
        (
            "optional.of(1).orValue('a')",
            "1:23: found no matching overload for 'orValue' applied to '(optional_type(int), string)'",
        ),
        (
            "[1, 2].max() == 'a'",
            "1:14: found no matching overload for '_==_' applied to '(int, string)'",
        ),
        (
            "['a'].sum()",
            "1:10: found no matching overload for 'sum' applied to '(list(string))'",
        ),
        (
            "[1].unwrapOpt()",
            "1:14: found no matching overload for 'unwrapOpt' applied to '(list(int))'",
        ),
        (
            "parseJSON('1')",
            "1:10: found no matching overload for 'parseJSON' applied to '(string)'",
        ),
        (
            "semver('1.0.0', true)",
            "1:7: found no matching overload for 'semver' applied to '(string, bool)'",
        ),
        (
            "sets.contains([1], [1])",
            "1:1: undeclared reference to 'sets' (in container '')",
        ),
        (
            "(true",
            "1:6: Syntax error: mismatched input '<EOF>' expecting )",
        ),
        (
            "true)",
            "1:5: Syntax error: mismatched input ')' expecting <EOF>",
        ),
        (
            "true; false",
            "1:5: Syntax error: token recognition error at: ';'",
        ),
        ("'open", "1:1: Syntax error: unterminated string"),
        (
            "",
            "1:1: Syntax error: mismatched input '<EOF>' expecting an expression",
        ),
        (
            "object.\nstatus +",
            "2:9: Syntax error: mismatched input '<EOF>' expecting an expression",
        ),
        ("package", "1:1: Syntax error: reserved identifier: package"),
        ("has(object)", "1:4: invalid argument to has() macro"),
    ] {
        assert_eq!(
            run(text).unwrap_err(),
            format!("ERROR: <input>:{error}"),
            "{text}"
        );
    }
}

/// Steps that an expression takes, and whether it gives a value.
fn steps(text: &str) -> (u64, bool) {
    let program = Program::compile(text, &BTreeMap::new(), &[PARSE_JSON]).unwrap();
    let mut budget = Budget::new(MAX_STEPS);
    let given = program.evaluate(&BTreeMap::new(), &(), &mut budget).is_ok();
    (MAX_STEPS - budget.left(), given)
}

#[test]
fn what_is_made_and_looked_at_is_paid_for() {
    // A text of 4,096 characters.
    let long = "'aaaaaaaa'".to_owned() + &".replace('a', 'aaaaaaaa')".repeat(3);
    let of_long = |then: &str| steps(&format!("[{long}].all(t, {then})"));
    let (made, given) = of_long("true");
    assert!(given && (256..2_000).contains(&made), "{made}");
    for (then, least) in [
        ("t.replace('a', 'bb') != ''", 512),
        ("[t, t, t, t].join() != ''", 1_024),
        ("t + t != ''", 512),
        ("t.split('').size() > 0", 8_000),
        ("[t, t, t, t].isSorted()", 1_200),
        ("[t, t, t, t].min() == t", 1_600),
        ("t.matches('b')", 5_000),
        ("t.matches('a{500}b')", 8_000),
        ("t.findAll('a', 100).size() > 0", 90_000),
        ("('\"' + t + '\"').parseJSON() != ''", 4_096),
        ("'%s%x'.format([t, t]) != ''", 768),
    ] {
        let (taken, given) = of_long(then);
        assert!(given, "{then}");
        assert!(taken >= made + least, "{then}: {taken} after {made}");
    }
    let (once, _) = steps("['a'].all(t, t.matches('a+'))");
    let (often, _) = steps("['a', 'a', 'a', 'a', 'a', 'a', 'a', 'a'].all(t, t.matches('a+'))");
    assert!(
        often < once + 200,
        "an expression is compiled once: {once}, {often}"
    );
    assert_eq!(steps("5"), (1, true));
    let program = Program::compile("'x'.matches('x+')", &BTreeMap::new(), &[]).unwrap();
    let [first, second] = [(); 2].map(|()| {
        let mut budget = Budget::new(MAX_STEPS);
        program
            .evaluate(&BTreeMap::new(), &(), &mut budget)
            .unwrap();
        budget.left()
    });
    assert_eq!(first, second, "what was compiled before is paid for, too");
    let patterns = "[1,2,3,4,5,6,7,8,9,10]";
    let many = format!(
        "{patterns}.all(a, {patterns}.all(b, {patterns}.all(c, !'x'.matches(string(a * 10000 + b * 100 + c)))))"
    );
    assert_eq!(steps(&many), (MAX_STEPS, false), "each pattern is compiled");
}

#[test]
fn what_is_too_large_is_not_made() {
    let long = "'aaaaaaaa'".to_owned() + &".replace('a', 'aaaaaaaa')".repeat(5);
    for text in [
        format!("[{long}].all(t, [t, t, t, t, t].join() != '')"),
        format!("[{long}].all(t, t + t + t + t + t != '')"),
        format!("[{long}].all(t, t.replace('a', 'aaaaa') != '')"),
    ] {
        let (taken, given) = steps(&text);
        assert!(!given && taken < 300_000, "{text}: {taken}");
    }
    assert!(run("'a'.matches('(((a{100}){100}){100})')").is_err());
}

#[test]
fn one_value_equals_itself_unless_it_is_no_number() {
    assert_eq!(run("[[0.0 / 0.0]].all(a, a == a)").as_deref(), Ok("false"));
    assert_eq!(run("[[0.5, 1.0]].all(a, a == a)").as_deref(), Ok("true"));
    assert_eq!(
        run("[{'k': [1]}, {'k': [1]}].all(a, a == {'k': [1]})").as_deref(),
        Ok("true")
    );
}

#[test]
fn hostile_expressions_end() {
    let nested = |open: &str, close: &str, levels| {
        format!("{}1{}", open.repeat(levels), close.repeat(levels))
    };
    for (text, error) in [
        (
            nested("(", ")", 5000),
            "expression recursion limit exceeded",
        ),
        (
            nested("[", "]", 5000),
            "expression recursion limit exceeded",
        ),
        (
            nested("{1: ", "}", 3000),
            "expression recursion limit exceeded",
        ),
        (
            nested("size(", ")", 2000),
            "expression recursion limit exceeded",
        ),
        (
            nested("true ? 1 : (", ")", 1000),
            "expression recursion limit exceeded",
        ),
        (
            format!("1{}", " + 1".repeat(2000)),
            "expression recursion limit exceeded",
        ),
        (
            format!("object{}", ".a".repeat(4000)),
            "expression recursion limit exceeded",
        ),
        (format!("{}true", "!".repeat(15_000)), "result"),
        ("1".repeat(20_000), "longer than 16384 bytes"),
        (
            "[1,2,3,4,5,6,7,8,9,10].all(a, ".repeat(8) + "true" + &")".repeat(8),
            "cost limit exceeded",
        ),
        (
            "['x'].map(a, a + a)".to_owned() + &".map(a, a + a)".repeat(60),
            "cost limit exceeded",
        ),
        (
            "'aaaa'".to_owned() + &".replace('a', 'aaaaaaaaaaaaaaaa')".repeat(12),
            "cost limit exceeded",
        ),
        (
            "[1]".to_owned() + &".map(a, {a: a})".repeat(30),
            "unsupported key type: map(int, int)",
        ),
        (
            "[1]".to_owned() + &".map(a, [a, a])".repeat(60) + ".all(a, a == a)",
            "result",
        ),
        // Equal, but not one: each item is made by itself.
        (
            format!(
                "[[1, 1]{}].all(x, x[0] == x[1])",
                ".map(a, [a, a])".repeat(60)
            ),
            "cost limit exceeded",
        ),
        (
            format!(
                "[[1, 1]{}].all(x, x[0] in [x[1]])",
                ".map(a, {'k': a, 'l': a})".repeat(60)
            ),
            "cost limit exceeded",
        ),
        (
            format!(
                "[[1, 1]{}].all(x, [x[1]].indexOf(x[0]) == 0)",
                ".map(a, optional.of([a, a]))".repeat(60)
            ),
            "cost limit exceeded",
        ),
        // Deep in each other, and the type says nothing.
        (
            "[1]".to_owned()
                + &format!(".map(a, {}dyn(a){})", "[".repeat(50), "]".repeat(50)).repeat(100),
            "cost limit exceeded",
        ),
        (
            "[1]".to_owned() + &format!(".map(a, {}a{})", "[".repeat(50), "]".repeat(50)).repeat(5),
            "result",
        ),
    ] {
        let told = run(&text);
        let short = text.get(..40).unwrap_or(&text);
        match error {
            "result" => assert!(told.is_ok(), "{short}: {told:?}"),
            error => assert!(
                told.as_ref().is_err_and(|e| e.contains(error)),
                "{short}: {told:?}"
            ),
        }
    }
    let chain = format!("{}true", "false || ".repeat(1500));
    assert_eq!(
        run(&chain).as_deref(),
        Ok("true"),
        "long chains are not deep"
    );
}

/// A host with one function, which takes as many steps as it is told.
struct Greeter;

impl Host for Greeter {
    fn call(
        &self,
        name: &str,
        target: Option<&Value>,
        arguments: &[Value],
        effort: &mut Effort<'_>,
    ) -> Option<Result<Value, EvaluateError>> {
        match (name, target, arguments) {
            ("greet", Some(Value::String(who)), [Value::Int(times)]) => {
                let steps = usize::try_from(*times).unwrap_or(0);
                Some(effort.spend(steps).map(|()| format!("hello {who}").into()))
            }
            _ => None,
        }
    }
}

#[test]
fn a_function_is_there_where_it_is_given() {
    const GREET: Function = Function {
        name: "greet",
        receiver: Some(ValueType::String),
        arguments: &[ValueType::Int],
        result: ValueType::String,
    };
    let evaluate = |text: &str, functions: &[Function], host: &dyn Host| {
        let program =
            Program::compile(text, &BTreeMap::new(), functions).map_err(|error| error.problem)?;
        let mut budget = Budget::new(MAX_STEPS);
        program
            .evaluate(&BTreeMap::new(), host, &mut budget)
            .map(|value| show(&value))
            .map_err(|error| error.to_string())
    };
    let given = |text: &str| evaluate(text, &[GREET], &Greeter);
    assert_eq!(given("'you'.greet(1) + '!'").as_deref(), Ok("hello you!"));
    assert_eq!(
        given("'you'.greet(2000000)").unwrap_err(),
        EvaluateError::Cost.to_string()
    );
    assert_eq!(
        given("dyn(1).greet(1)").unwrap_err(),
        EvaluateError::NoSuchOverload.to_string()
    );
    assert_eq!(
        given("'you'.greet('x')").unwrap_err(),
        "found no matching overload for 'greet' applied to '(string, string)'"
    );
    assert_eq!(
        given("'you'.greet(1) == 1").unwrap_err(),
        "found no matching overload for '_==_' applied to '(string, int)'"
    );
    assert_eq!(
        evaluate("'you'.greet(1)", &[GREET], &()).unwrap_err(),
        EvaluateError::NoSuchOverload.to_string()
    );
    for text in ["'you'.greet(1)", "'1'.parseJSON()", "hasConditions(1)"] {
        let error = evaluate(text, &[], &Greeter).unwrap_err();
        assert!(error.starts_with("undeclared reference to"), "{error}");
    }
}

proptest::proptest! {
    /// Noise made of the language's own pieces never panics.
    #[test]
    fn noise_is_an_error_or_a_value(pieces in proptest::collection::vec(0usize..40, 0..30)) {
        const PIECES: [&str; 40] = [
            "object", ".", "n", "?", "[", "]", "(", ")", "{", "}", ",", ":", "+", "-", "*", "/", "%", "!", "==",
            "<", "&&", "||", "in", "'s'", "1", "2.5", "3u", "null", "true", "has", "size", "map", "exists", "x",
            " ", "\n", "orValue", "quantity", "'1Gi'", "b'\\xff'",
        ];
        let text: String = pieces.iter().map(|piece| PIECES[*piece]).collect();
        let _told = run(&text);
    }
}
