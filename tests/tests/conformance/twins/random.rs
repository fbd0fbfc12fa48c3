//! Random changes by several managers to one object, the same for both servers.

use serde_json::{Value, json};

use super::{GADGETS, JSON, Step, custom_resources};

/// How many scripts are made.
pub(super) const SCRIPTS: u64 = 36;
const STEPS: usize = 14;

/// A small linear congruential generator: the scripts are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }
}

/// The script of a seed: a config map, a Deployment or a custom resource is worked on.
pub(super) fn script(seed: u64) -> Vec<Step> {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9).wrapping_add(1));
    let step = match seed % 3 {
        0 => config_map,
        1 => deployment,
        _ => gadget,
    };
    (0..STEPS).map(|_| step(&mut dice)).collect()
}

fn manager(dice: &mut Dice) -> &'static str {
    dice.pick::<&str>(&["one", "two", "three"])
}

fn some(dice: &mut Dice, names: &[&str], values: &[&str]) -> Value {
    let mut map = json!({});
    for name in names {
        if dice.below(2) == 0 {
            map[*name] = (*dice.pick(values)).into();
        }
    }
    map
}

fn config_map(dice: &mut Dice) -> Step {
    let path = "/api/v1/namespaces/NS/configmaps/r";
    let data = some(dice, &["a", "b", "c"], &["1", "2"]);
    let labels = some(dice, &["l", "m"], &["x", "y"]);
    let mut metadata = json!({"name": "r", "labels": labels});
    if dice.below(4) == 0 {
        metadata["annotations"] = some(dice, &["n"], &["p", "q"]);
    }
    write(
        dice,
        path,
        &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}),
    )
}

fn deployment(dice: &mut Dice) -> Step {
    let path = "/apis/apps/v1/namespaces/NS/deployments/r";
    let mut containers = vec![json!({"name": "main", "image": *dice.pick(&["i:1", "i:2"])})];
    if dice.below(2) == 0 {
        containers[0]["env"] = some_env(dice);
    }
    if dice.below(2) == 0 {
        containers[0]["ports"] = json!([{"containerPort": 80 + dice.below(2)}]);
    }
    if dice.below(3) == 0 {
        containers.push(json!({"name": "side", "image": "s:1"}));
    }
    let mut spec = json!({"paused": true, "selector": {"matchLabels": {"a": "r"}}, "template": {
        "metadata": {"labels": {"a": "r"}}, "spec": {"containers": containers}}});
    if dice.below(2) == 0 {
        spec["replicas"] = 0.into();
    }
    if dice.below(3) == 0 {
        spec["template"]["spec"]["nodeSelector"] = some(dice, &["x", "y"], &["1", "2"]);
    }
    // Nothing may run: the controllers' reports would come in between.
    spec["template"]["spec"]["schedulingGates"] = json!([{"name": "example.com/never"}]);
    write(
        dice,
        path,
        &json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "r"}, "spec": spec}),
    )
}

fn some_env(dice: &mut Dice) -> Value {
    let chosen = some(dice, &["A", "B"], &["1", "2"]);
    chosen
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| json!({"name": name, "value": value}))
        .collect()
}

fn gadget(dice: &mut Dice) -> Step {
    let mut spec = json!({});
    if dice.below(2) == 0 {
        spec["size"] = dice.below(2).into();
    }
    if dice.below(2) == 0 {
        let notes = some(dice, &["k"], &["1", "2"]);
        spec["parts"] =
            json!([{"name": *dice.pick(&["a", "b"]), "count": dice.below(2), "notes": notes}]);
    }
    if dice.below(2) == 0 {
        spec["tags"] = dice
            .pick(&[json!(["x"]), json!(["y", "x"]), json!([])])
            .clone();
    }
    if dice.below(2) == 0 {
        spec["words"] = dice
            .pick(&[json!(["x"]), json!(["y", "x"]), json!([])])
            .clone();
    }
    if dice.below(2) == 0 {
        spec["deep"] = json!({"er": some(dice, &["x", "y"], &["1", "2"])});
    }
    if dice.below(2) == 0 {
        spec["notes"] = some(dice, &["m", "n"], &["1", "2"]);
    }
    if dice.below(3) == 0 {
        spec["whole"] = some(dice, &["m", "n"], &["1", "2"]);
    }
    if dice.below(3) == 0 {
        // Never empty: an empty container that loses its owner inside preserved unknown fields
        // becomes a null in a real server, and is dropped by the simulation.
        let any = json!({"m": *dice.pick(&["1", "2"])});
        spec["free"] = json!({"any": any, "list": [dice.below(2)]});
    }
    write(
        dice,
        &format!("{GADGETS}/r"),
        &custom_resources::gadget("r", &spec),
    )
}

/// Applies most of the time; now and then somebody patches by hand.
fn write(dice: &mut Dice, path: &str, config: &Value) -> Step {
    let manager = manager(dice);
    match dice.below(5) {
        0 => {
            let mut patch = config.clone();
            for field in ["apiVersion", "kind"] {
                patch.as_object_mut().expect("an object").remove(field);
            }
            let path = format!("{path}?fieldManager=hand");
            Step {
                method: "PATCH",
                path,
                content_type: "application/merge-patch+json",
                body: patch,
            }
        }
        1 => Step {
            method: "GET",
            path: path.to_owned(),
            content_type: JSON,
            body: Value::Null,
        },
        choice => {
            let force = if choice == 2 { "&force=true" } else { "" };
            let path = format!("{path}?fieldManager={manager}{force}");
            Step {
                method: "PATCH",
                path,
                content_type: "application/apply-patch+yaml",
                body: config.clone(),
            }
        }
    }
}
