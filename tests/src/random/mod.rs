//! Random cycles: a shop under a load that wanders, on an AWS that is slow and breaks, beside a person who acts, and a check
//! after every cycle that it ended applied, rolled back, or stopped with the alarm raised.

mod alarm;
mod checks;
mod choices;
mod cycle;
mod person;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

pub use alarm::Raised;
pub use checks::{CameOut, Execution, Facts, Opened, Rule, UnitsSet, Violation, violations};
pub use choices::{Break, Call, Choices, Fault, Moment};
pub use person::{Act, File, Tier};

use crate::Result;
use crate::server::Server;
use cycle::Shopkeeper;

/// A run of random cycles.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// What everything is drawn from.
    pub seed: u64,
    /// How many cycles.
    pub cycles: u32,
    /// The name of the shop, which no other one on the local AWS may have.
    pub name: &'a str,
}

/// How the cycles of a run came out.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// How many came out how.
    pub came_out: BTreeMap<CameOut, u32>,
    /// What must not be, each with the number of its cycle.
    pub violations: Vec<(u32, Violation)>,
}

/// Cycles after the last one that finish what it left open: as many as a platform takes to stop for a person.
const FINISHING_MAX: u32 = 4;

impl Run<'_> {
    /// Runs the cycles, one after the other, and tells each in a line.
    ///
    /// # Errors
    /// When the local AWS itself fails. What the product does wrong is a violation and no error.
    pub async fn run(&self, server: &Server, packaged: &Path, tell: &mut dyn FnMut(&str)) -> Result<Summary> {
        let mut shopkeeper = Shopkeeper::new(server, packaged, self).await?;
        let mut summary = Summary::default();
        for number in 1..=self.cycles {
            self.one(&mut shopkeeper, number, &Choices::of(self.seed, number), &mut summary, tell).await?;
        }
        for number in self.cycles + 1..=self.cycles + FINISHING_MAX {
            if shopkeeper.is_settled().await? {
                return Ok(summary);
            }
            self.one(&mut shopkeeper, number, &Choices::quiet(), &mut summary, tell).await?;
        }
        if !shopkeeper.is_settled().await? {
            let sentence =
                format!("{FINISHING_MAX} quiet cycles after the last one did not settle what is open");
            summary.violations.push((self.cycles, Violation { rule: Rule::Plans, sentence }));
        }
        Ok(summary)
    }

    async fn one(
        &self,
        shopkeeper: &mut Shopkeeper<'_>,
        number: u32,
        choices: &Choices,
        summary: &mut Summary,
        tell: &mut dyn FnMut(&str),
    ) -> Result<()> {
        let cycle = shopkeeper.cycle(choices).await.map_err(|error| {
            format!("cycle {number} ({choices}) could not be run: {error}\n{}", self.reproduction(number))
        })?;
        let found = violations(&cycle.facts);
        tell(&format!("{number:>4} of {}  {choices}\n             {cycle}", self.cycles));
        for violation in &found {
            tell(&format!("     VIOLATION  {violation}\n     {}", self.reproduction(number)));
        }
        *summary.came_out.entry(cycle.facts.came_out()).or_default() += 1;
        summary.violations.extend(found.into_iter().map(|violation| (number, violation)));
        Ok(())
    }

    /// How to see a cycle again. What came before it made the world that it met, so all of that is run too.
    fn reproduction(&self, number: u32) -> String {
        format!("to see it again: make cycles SEED={} CYCLES={number}", self.seed)
    }
}

impl Summary {
    /// The table at the end of a run.
    pub fn table(&self) -> String {
        let mut table = String::new();
        for (came_out, count) in &self.came_out {
            // Writing to text does not fail.
            let _ = writeln!(table, "{count:>6}  {}", came_out.told());
        }
        for rule in [Rule::Ending, Rule::Order, Rule::Bounds, Rule::Plans, Rule::Capacity, Rule::Alarm] {
            let count = self.violations.iter().filter(|(_, violation)| violation.rule == rule).count();
            let _ = writeln!(table, "{count:>6}  {}", rule.broken());
        }
        table
    }
}

impl CameOut {
    fn told(self) -> &'static str {
        match self {
            CameOut::Applied => "applied",
            CameOut::NothingToDo => "nothing to change",
            CameOut::RolledBack => "rolled back",
            CameOut::NeedsHuman => "stopped for a person, with the alarm raised",
            CameOut::Stands => "failed, and stands as its file says",
            CameOut::Failed => "failed before anything was changed",
            CameOut::NotSettled => "stopped by hand or not settled; the next cycle took over",
        }
    }
}

impl Rule {
    fn broken(self) -> &'static str {
        match self {
            Rule::Ending => "endings that are none",
            Rule::Order => "order violations",
            Rule::Bounds => "bounds broken",
            Rule::Plans => "plans forgotten",
            Rule::Capacity => "capacities that are not what the journal says",
            Rule::Alarm => "alarms not raised",
        }
    }
}
