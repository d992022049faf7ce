//! Several targets: each gets what it wants, and none waits for another.

use taffrail_testkit::{JournalEntry, append_journal};

use super::central::Central;
use super::link::{Link, Mode};
use super::{Agent, config};
use crate::program::{Site, count, eventually};

const HUB: &str = "[[source]]\npath = '/nowhere/x.log'\n";
const TEST: &str = "agent::targets::each_target_gets_what_it_wants_and_waits_for_no_other";

#[test]
fn each_target_gets_what_it_wants_and_waits_for_no_other() {
    let Some(central) = Central::start(TEST) else { return };
    let (site, second) = (Site::new(), Site::new());
    let (all, errors) = (site.daemon_with(HUB), second.daemon_with(HUB));
    let links = [Link::new(all.address()), Link::new(errors.address())];
    let journal = site.path("journal");
    fs_err::create_dir(&journal).unwrap();
    let entry = |number, message: &str| {
        append_journal(&journal.join("system.journal"), [JournalEntry::new(number, message)]).unwrap();
    };
    entry(0, "the journal began well");
    let more = format!(
        "[[source]]\ntype = 'journal'\npath = '{}'\nfrom_beginning = true\n\
         [[forward]]\nurl = 'http://127.0.0.1:{}'\nlines = 'errors'\n\
         [[forward]]\nurl = '{}'\nprotocol = 'resolvix'\n",
        journal.display(),
        links[1].port(),
        central.url()
    );
    let config = config(&site, links[0].port(), &more);
    // One target is away from the beginning on.
    links[0].set(Mode::Refuses);
    let agent = Agent::start(&site, &["--config", &config]);
    site.append("logs/app.log", "all is well\na disk error\n");
    entry(1, "the unit has failed");
    let lines = |hub, what: &str| count(hub, &format!("SELECT count(*) FROM logs WHERE {what}"));
    eventually("the errors", || lines(&errors, "node = 'web-1'") == 2);
    eventually("those of the other kind", || central.logs().len() == 2);
    let bodies = second.bodies("");
    assert!(bodies.iter().all(|body| body == "a disk error" || body == "the unit has failed"), "{bodies:?}");
    let told = central.logs();
    let of_journal = told.iter().find(|log| log["log_line"] == "the unit has failed").unwrap();
    assert_eq!(of_journal["severity"], "failure", "{told:?}");
    assert!(told.iter().any(|log| log["log_line"] == "a disk error"), "{told:?}");
    assert_eq!(lines(&all, "node = 'web-1'"), 0);
    // Who comes back gets all of it.
    links[0].set(Mode::Through);
    eventually("all lines", || lines(&all, "node = 'web-1'") == 4);
    assert_eq!(lines(&all, "source LIKE 'web-1:journal:%' AND body = 'the journal began well'"), 1);
    // Killed and started again, nobody gets anything twice.
    drop(agent);
    let agent = Agent::start(&site, &["--config", &config]);
    site.append("logs/app.log", "the last error\n");
    entry(2, "another error");
    eventually("all lines", || lines(&all, "node = 'web-1'") == 6);
    eventually("the errors", || lines(&errors, "node = 'web-1'") == 4);
    eventually("those of the other kind", || central.logs().len() >= 4);
    for hub in [&all, &errors] {
        eventually("samples", || count(hub, "SELECT count(*) FROM telemetry WHERE node_id = 'web-1'") > 0);
    }
    assert_eq!(central.complaints(), [""; 0]);
    assert_eq!(agent.stop(), 0);
    assert_eq!((lines(&all, "node = 'web-1'"), lines(&errors, "node = 'web-1'")), (6, 4));
}
