//! What a kind's description makes of a resource in the file, and what it has to say about it.

use std::collections::BTreeMap;
use std::fmt::Display;

use super::schema::{Common, Range};
use super::{Adapter, Facts, Metric, Named, ScalableTargetId};

/// A resource as its kind describes it, before the operator's own metrics and figures are added.
pub(crate) struct ResourceSpec {
    /// What the file says of it as of any resource.
    pub(crate) common: Common,
    /// What its `name` names in AWS; `None` where that is the operator's own choice.
    pub(crate) named: Option<Named>,
    /// What names it in AWS besides its name.
    pub(crate) within: Vec<String>,
    /// How it is reached; `None` where no adapter serves it yet.
    pub(crate) adapter: Option<Adapter>,
    /// What can be scaled on it.
    pub(crate) dimensions: Vec<DimensionSpec>,
    /// Seconds until a unit is ready, as a first guess.
    pub(crate) provisioning_s: u32,
}

/// A dimension as its kind describes it.
pub(crate) struct DimensionSpec {
    /// Its name on the resource.
    pub(crate) name: String,
    /// The keys below the resource where its bounds are written.
    pub(crate) at: Vec<String>,
    /// Its bounds.
    pub(crate) range: Range,
    /// What it is measured by, where the operator names nothing.
    pub(crate) metrics: Vec<Metric>,
    /// What is known of it.
    pub(crate) facts: Facts,
}

impl DimensionSpec {
    pub(super) fn new(name: &str, at: &[&str], range: Range, facts: Facts) -> DimensionSpec {
        let at = at.iter().map(|key| (*key).to_owned()).collect();
        DimensionSpec { name: name.to_owned(), at, range, metrics: Vec::new(), facts }
    }

    /// The only dimension of a resource, between `min_capacity` and `max_capacity`.
    pub(super) fn only(name: &str, min: u32, max: u32, facts: Facts) -> DimensionSpec {
        DimensionSpec::new(name, &["max_capacity"], Range { min, max }, facts)
    }

    pub(super) fn metrics(self, metrics: impl IntoIterator<Item = Metric>) -> DimensionSpec {
        DimensionSpec { metrics: metrics.into_iter().collect(), ..self }
    }

    pub(super) fn target(mut self, target: ScalableTargetId) -> DimensionSpec {
        self.facts.scalable_target = Some(target);
        self
    }
}

/// Something to say about a resource, by the keys below it.
pub(crate) struct Note {
    /// The keys that lead from the resource to it.
    pub(crate) at: Vec<String>,
    /// What to say.
    pub(crate) remark: Remark,
}

/// What there is to say.
pub(crate) enum Remark {
    /// Nothing was given, and this was used.
    Default(String),
    /// Something is doubtful.
    Warning(String),
    /// Something is wrong.
    Fault(String),
}

/// Where a description writes down what it has to say.
pub(crate) struct Draft<'a> {
    /// Targets of the group's target tracking policies, by the metric's name.
    targets: &'a BTreeMap<&'static str, f64>,
    /// What was said.
    pub(crate) notes: Vec<Note>,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(targets: &'a BTreeMap<&'static str, f64>) -> Draft<'a> {
        Draft { targets, notes: Vec::new() }
    }

    fn say(&mut self, at: &[&str], remark: Remark) {
        self.notes.push(Note { at: at.iter().map(|key| (*key).to_owned()).collect(), remark });
    }

    pub(super) fn fault(&mut self, at: &[&str], sentence: impl Into<String>) {
        self.say(at, Remark::Fault(sentence.into()));
    }

    pub(super) fn warn(&mut self, at: &[&str], sentence: impl Into<String>) {
        self.say(at, Remark::Warning(sentence.into()));
    }

    /// What was given, or the default, which is then recorded.
    pub(super) fn or<T: Display>(&mut self, at: &[&str], given: Option<T>, default: T) -> T {
        given.unwrap_or_else(|| {
            self.say(at, Remark::Default(default.to_string()));
            default
        })
    }

    /// Reports an ARN or an address where a name belongs.
    pub(super) fn named(&mut self, at: &[&str], named: Named, text: &str) {
        if let Some(sentence) = super::misplaced(named, text) {
            self.fault(at, sentence);
        }
    }

    /// Reports a name that RDS would have stored in lower case, and CloudWatch then knows by no other.
    pub(super) fn lower_case(&mut self, name: &str) {
        let lower = name.to_lowercase();
        if lower != name && super::Arn::read(name).is_none() {
            self.fault(&["name"], format!("is stored in lower case by RDS; write `{lower}`"));
        }
    }

    /// Reports an ARN where something belongs that no ARN has in it.
    pub(super) fn plain(&mut self, at: &[&str], text: &str, wanted: &str) {
        if super::Arn::read(text).is_some() {
            self.fault(at, format!("is an ARN, which finds nothing here; write {wanted}"));
        }
    }

    /// Whether the group's policies have a target for a metric.
    pub(super) fn has_target(&self, metric: &str) -> bool {
        self.targets.contains_key(metric)
    }

    /// The target of a utilisation metric: the resource's own, else the group's policy, else the default if it is wanted.
    pub(super) fn target(
        &mut self,
        (key, metric): (&str, &str),
        given: Option<f64>,
        default: Option<f64>,
    ) -> Option<f64> {
        match (given, self.targets.get(metric)) {
            (Some(given), Some(policy)) if (given - policy).abs() > f64::EPSILON => {
                let sentence =
                    format!("is {given}, while the group's target tracking says {policy}; {given} counts");
                self.warn(&[key], sentence);
                Some(given)
            }
            (Some(given), _) => Some(given),
            (None, Some(policy)) => Some(*policy),
            (None, None) => default.map(|default| self.or(&[key], None, default)),
        }
    }
}
