#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::decode::JsonType;
use proptest::prelude::*;
use serde_json::json;

const PATH: &str = "spec.placementRefs[0].rolloutStrategy";

fn progressive(knob: &str, value: &Value) -> Result<RolloutStrategy, Vec<FieldError>> {
    let strategy = json!({"type": "Progressive", "progressive": {knob: value}});
    RolloutStrategy::decode(PATH, strategy)
}

/// The one problem of a knob.
fn problem(knob: &str, value: &Value) -> Problem {
    let errors = progressive(knob, value).unwrap_err();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!(errors[0].path, format!("{PATH}.progressive.{knob}"));
    errors.into_iter().next().unwrap().problem
}

fn seconds(knob: &str, text: &str) -> Option<i64> {
    let config = progressive(knob, &json!(text)).unwrap().config();
    match knob {
        "minSuccessTime" => Some(config.min_success_time.length().as_secs()),
        _ => config.progress_deadline.length().map(|time| time.as_secs()),
    }
}

#[test]
fn the_wire_form_of_every_field_is_kept() {
    let knobs = json!({
        "minSuccessTime": "1h30m", "progressDeadline": "90m", "maxFailures": "5%",
        "mandatoryDecisionGroups": [{"groupName": "canary"}, {"groupIndex": 0}, {}],
    });
    let mut progressive = knobs.clone();
    progressive["maxConcurrency"] = json!(3);
    let all = json!({"minSuccessTime": "0", "progressDeadline": "None", "maxFailures": 0});
    for strategy in [
        json!({"type": "All", "all": all}),
        json!({"type": "Progressive", "progressive": progressive}),
        json!({"type": "ProgressivePerGroup", "progressivePerGroup": knobs}),
    ] {
        let read = RolloutStrategy::decode(PATH, strategy.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), strategy);
    }
}

#[test]
fn defaults_are_filled_in() {
    let read = RolloutStrategy::decode(PATH, json!({"all": {}})).unwrap();
    assert_eq!(
        serde_json::to_value(&read).unwrap(),
        json!({"type": "All",
               "all": {"minSuccessTime": "0", "progressDeadline": "None", "maxFailures": 0}})
    );
    assert_eq!(read.config(), RolloutConfig::default());
    assert_eq!(RolloutStrategy::default().config(), read.config());
    assert_eq!(
        RolloutStrategy::decode(PATH, json!({})).unwrap(),
        RolloutStrategy::default()
    );
}

#[test]
fn durations_are_whole_hours_minutes_and_seconds() {
    for (text, expected) in [
        ("2h", 7_200),
        ("90m", 5_400),
        ("360s", 360),
        ("1h30m", 5_400),
        ("1h5s", 3_605),
        ("010m", 600),
        ("720h", 2_592_000),
        ("87600h", i64::from(MAX_ROLLOUT_SECONDS)),
    ] {
        assert_eq!(seconds("progressDeadline", text), Some(expected), "{text}");
        assert_eq!(seconds("minSuccessTime", text), Some(expected), "{text}");
    }
    assert_eq!(seconds("progressDeadline", "None"), None);
    assert_eq!(seconds("minSuccessTime", "0"), Some(0));
    assert_eq!(seconds("minSuccessTime", "0s"), Some(0));
}

#[test]
fn what_open_cluster_management_takes_loosely_is_refused() {
    let form = [
        "1.5h", "5mX", "5|", "-5m", "xNone", "None ", "1m1m", "5m1h", "100ms", "10", "h", "",
        " 5m", "+5m", "5 m", "\u{665}m",
    ];
    for text in form {
        for knob in ["progressDeadline", "minSuccessTime"] {
            let Problem::Invalid { value, rule } = problem(knob, &json!(text)) else {
                panic!("{knob} {text}");
            };
            assert_eq!(value, text);
            assert_eq!(rule, RolloutDurationError::Form.to_string());
        }
    }
    for text in ["87601h", "99999999999999999999h", "18446744073709551615s"] {
        let problem = problem("minSuccessTime", &json!(text));
        let too_long = RolloutDurationError::TooLong.to_string();
        assert!(matches!(problem, Problem::Invalid { rule, .. } if rule == too_long));
    }
    for text in ["0", "0s", "0h0m", "00m"] {
        let problem = problem("progressDeadline", &json!(text));
        let no_time = RolloutDurationError::NoTime.to_string();
        assert!(matches!(problem, Problem::Invalid { rule, .. } if rule == no_time));
    }
}

#[test]
fn a_number_or_share_is_whole_and_between_its_limits() {
    let failures = |value: Value| {
        progressive("maxFailures", &value)
            .unwrap()
            .config()
            .max_failures
    };
    assert_eq!(failures(json!(0)), IntOrPercent::Number(0));
    assert_eq!(failures(json!(1000)), IntOrPercent::Number(1000));
    assert_eq!(failures(json!("3")), IntOrPercent::Number(3));
    assert_eq!(failures(json!("0%")), IntOrPercent::Percent(0));
    assert_eq!(failures(json!("05%")), IntOrPercent::Percent(5));
    assert_eq!(failures(json!("100%")), IntOrPercent::Percent(100));

    let range = |min: i64, max: i64, found: &str| Problem::OutOfRange {
        min,
        max,
        found: found.to_owned(),
    };
    let most = i64::from(i32::MAX);
    for (knob, min) in [("maxFailures", 0), ("maxConcurrency", 1)] {
        assert_eq!(problem(knob, &json!(-1)), range(min, most, "-1"));
        assert_eq!(problem(knob, &json!("-1")), range(min, most, "-1"));
        assert_eq!(
            problem(knob, &json!(1_i64 << 31)),
            range(min, most, "2147483648")
        );
        assert_eq!(problem(knob, &json!("101%")), range(min, 100, "101%"));
        assert_eq!(problem(knob, &json!("1000%")), range(min, 100, "1000%"));
        for text in [
            "", "%", "ten%", "abc", "10 %", " 10%", "10%%", "-10%", "+20%", "33.3%", ".5%", "5e1%",
            "0x1p4%", "1_0%", "NaN%", "Inf%", "%10",
        ] {
            let Problem::Invalid { value, .. } = problem(knob, &json!(text)) else {
                panic!("{knob} {text}");
            };
            assert_eq!(value, text);
        }
        let wrong = |found| Problem::WrongType {
            expected: "integer or percentage".to_owned(),
            found,
        };
        assert_eq!(problem(knob, &json!(1.5)), wrong(JsonType::Number));
        assert_eq!(problem(knob, &json!(true)), wrong(JsonType::Boolean));
    }
}

#[test]
fn nothing_at_a_time_is_refused() {
    for (zero, max) in [(json!(0), i64::from(i32::MAX)), (json!("0%"), 100)] {
        let found = zero.to_string().replace('"', "");
        let expected = Problem::OutOfRange { min: 1, max, found };
        assert_eq!(problem("maxConcurrency", &zero), expected);
    }
}

#[test]
fn knobs_of_another_type_are_refused() {
    let forgotten = RolloutStrategy::decode(PATH, json!({"progressive": {"maxConcurrency": 1}}));
    let errors = forgotten.unwrap_err();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].path, format!("{PATH}.progressive"));
    assert!(matches!(errors[0].problem, Problem::Forbidden { .. }));
    assert_eq!(
        errors[0].hint.as_deref(),
        Some("write type: Progressive, or remove the field")
    );
    let left = json!({"type": "Progressive", "all": {}, "progressive": {}});
    RolloutStrategy::decode(PATH, left).unwrap();
    let other = json!({"type": "Progressive", "progressivePerGroup": {}});
    RolloutStrategy::decode(PATH, other).unwrap_err();
}

#[test]
fn errors_have_paths() {
    let strategy = json!({
        "type": "Canary", "every": {},
        "progressive": {"maxUnavailable": 1, "mandatoryDecisionGroups": [{"groupIndex": -1}]},
    });
    let errors = RolloutStrategy::decode(PATH, strategy).unwrap_err();
    let paths: Vec<_> = errors
        .iter()
        .map(|error| error.path.strip_prefix(PATH).unwrap())
        .collect();
    assert_eq!(
        paths,
        [
            ".every",
            ".type",
            ".progressive.maxUnavailable",
            ".progressive.mandatoryDecisionGroups[0].groupIndex"
        ]
    );
    let not_an_object = RolloutStrategy::decode(PATH, json!("All")).unwrap_err();
    assert_eq!(not_an_object[0].path, PATH);
}

#[test]
fn a_share_counts_parts_as_whole() {
    assert_eq!(IntOrPercent::Percent(33).of(10), 4);
    assert_eq!(IntOrPercent::Percent(0).of(10), 0);
    assert_eq!(IntOrPercent::Percent(1).of(0), 0);
    assert_eq!(IntOrPercent::Percent(100).of(usize::MAX), usize::MAX);
    assert_eq!(IntOrPercent::Number(7).of(3), 7);
}

proptest! {
    #[test]
    fn any_text_is_answered(text in "\\PC{0,12}|[0-9hms%.-]{0,12}") {
        if let Ok(duration) = text.parse::<RolloutDuration>() {
            prop_assert_eq!(duration.to_string(), text.clone());
            prop_assert!(duration.length().as_secs() <= i64::from(MAX_ROLLOUT_SECONDS));
        }
        if let Ok(share) = text.parse::<IntOrPercent>() {
            prop_assert_eq!(share.to_string().parse::<IntOrPercent>(), Ok(share));
        }
    }

    #[test]
    fn a_share_is_the_exact_quotient_rounded_up(percent in 0_u8..=100, total in 0_usize..100_000) {
        let exact = (total * usize::from(percent)).div_ceil(100);
        prop_assert_eq!(IntOrPercent::Percent(percent).of(total), exact);
    }
}
