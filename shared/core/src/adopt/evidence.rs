//! Who uses whom, and how that is known: what AWS tells, and what variables of services and functions mention.

use super::inventory::{Found, Handle, Inventory, Setting};

/// How far a piece of evidence is to be trusted, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Strength {
    /// A variable holds a word that is also a name.
    Name,
    /// A variable holds an ARN or the host of an endpoint.
    Address,
    /// AWS itself connects the two.
    Connected,
}

/// One resource uses another; both by their place in the inventory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Edge {
    pub(super) by: usize,
    pub(super) of: usize,
    pub(super) strength: Strength,
    pub(super) sentence: String,
}

/// Every use that there is evidence for. What holds data uses nothing.
pub(super) fn edges(inventory: &Inventory) -> Vec<Edge> {
    let told = inventory.uses.iter().map(|told| {
        (told.by.as_str(), told.of.as_str(), Strength::Connected, format!("{{by}} {}", told.evidence))
    });
    let mentioned = inventory.settings.iter().flat_map(|setting| {
        let found = inventory.handles.iter().filter_map(|handle| Some((handle, mentions(setting, handle)?)));
        found.map(|(handle, strength)| {
            (setting.of.as_str(), handle.of.as_str(), strength, sentence(setting, handle))
        })
    });
    let mut edges: Vec<Edge> = Vec::new();
    for (by, of, strength, sentence) in told.chain(mentioned) {
        for edge in between(inventory, by, of, strength, &sentence) {
            if !edges
                .iter()
                .any(|other| (other.by, other.of, &other.sentence) == (edge.by, edge.of, &edge.sentence))
            {
                edges.push(edge);
            }
        }
    }
    edges
}

fn sentence(setting: &Setting, handle: &Handle) -> String {
    format!("the variable {} of {{by}} holds {}", setting.variable, handle.what)
}

/// An edge for each pair of resources with these two ARNs.
fn between(inventory: &Inventory, by: &str, of: &str, strength: Strength, sentence: &str) -> Vec<Edge> {
    let with = |arn: &str| -> Vec<(usize, &Found)> {
        inventory.found.iter().enumerate().filter(|(_, found)| found.arn == arn).collect()
    };
    let (sources, targets) = (with(by), with(of));
    let pairs = sources.iter().flat_map(|source| targets.iter().map(move |target| (source, target)));
    pairs
        .filter(|((_, source), _)| by != of && !source.is_data())
        .map(|((by, source), (of, target))| {
            let sentence = sentence.replace("{by}", &source.name).replace("{of}", &target.name);
            Edge { by: *by, of: *of, strength, sentence }
        })
        .collect()
}

/// Whether a variable holds what finds a resource, as a word of its own, and how much that says.
fn mentions(setting: &Setting, handle: &Handle) -> Option<Strength> {
    if handle.text.is_empty() || setting.of == handle.of {
        return None;
    }
    let mut words = setting.value.split(|letter: char| letter.is_whitespace() || ",;\"'".contains(letter));
    let strength = if handle.text.starts_with("arn:") || handle.text.contains('.') {
        Strength::Address
    } else {
        Strength::Name
    };
    words.any(|word| holds(word, &handle.text)).then_some(strength)
}

/// Whether a word is a text or has it as a part. An ARN names one thing as a whole, so that the name at its end finds nothing
/// else that is called the same.
fn holds(word: &str, text: &str) -> bool {
    if word.starts_with("arn:") || text.starts_with("arn:") {
        return word == text || word.strip_prefix(text).is_some_and(|rest| rest.starts_with(['/', ':']));
    }
    let is_of_a_name = |letter: char| letter.is_alphanumeric() || "._-".contains(letter);
    word.split(|letter| !is_of_a_name(letter)).any(|part| part.eq_ignore_ascii_case(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::ResourceKind;

    fn check(value: &str, text: &str, expected: Option<Strength>) {
        let setting = Setting { of: "arn:api".into(), variable: "V".into(), value: value.into() };
        let handle = Handle { of: "arn:orders".into(), text: text.into(), what: "its name".into() };
        assert_eq!(mentions(&setting, &handle), expected, "{value} {text}");
    }

    #[test]
    fn a_variable_mentions_what_it_holds_as_a_word() {
        check("orders", "orders", Some(Strength::Name));
        check("users, orders", "orders", Some(Strength::Name));
        check("orders-archive", "orders", None);
        check("old.orders", "orders", None);
        check(
            "postgres://u:p@Db.abc.rds.amazonaws.com:5432/shop",
            "db.abc.rds.amazonaws.com",
            Some(Strength::Address),
        );
        check(
            "arn:aws:dynamodb:x:1:table/orders",
            "arn:aws:dynamodb:x:1:table/orders",
            Some(Strength::Address),
        );
        check(
            "arn:aws:dynamodb:x:1:table/orders/index/a",
            "arn:aws:dynamodb:x:1:table/orders",
            Some(Strength::Address),
        );
        check("arn:aws:sqs:x:1:orders", "orders", None);
        check("", "", None);
    }

    #[test]
    fn values_are_never_told_and_what_holds_data_uses_nothing() {
        let found = [ResourceKind::EcsService, ResourceKind::DynamoDbTable];
        let found = found.iter().zip(["api", "orders"]);
        let setting =
            |of: &str| Setting { of: of.into(), variable: "TABLE".into(), value: "orders secret api".into() };
        let handle = |of: &str| Handle { of: of.into(), text: of.into(), what: "its name".into() };
        let inventory = Inventory {
            found: found.map(|(kind, name)| Found::new(*kind, name, name)).collect(),
            settings: vec![setting("api"), setting("orders"), setting("api")],
            handles: vec![handle("orders"), handle("api")],
            ..Inventory::default()
        };
        let edges = edges(&inventory);
        let told: Vec<(usize, usize, &str)> =
            edges.iter().map(|edge| (edge.by, edge.of, edge.sentence.as_str())).collect();
        assert_eq!(told, [(0, 1, "the variable TABLE of api holds its name")]);
    }
}
