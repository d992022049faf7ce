//! Agents: the original's name for who wrote an entry, and how stored records are told by it.

use std::collections::BTreeMap;

use taffrail_record::Severity;
use taffrail_store::engine::Stats;
use taffrail_store::filter::{FieldTest, Filter};

/// The agent of records with this source and service: the service the line named, else the file's name in
/// the original's spelling.
pub(super) fn name(source: &str, service: &str) -> String {
    if source.contains('/') && (service.is_empty() || is_of_path(source, service)) {
        return from_path(source);
    }
    if service.is_empty() { "unknown".to_owned() } else { service.to_owned() }
}

/// Whether a service is one that was made of the path, because the line named none.
fn is_of_path(path: &str, service: &str) -> bool {
    let (folders, file) = path.rsplit_once('/').unwrap_or(("", path));
    file.starts_with(service) || folders.rsplit('/').next() == Some(service)
}

/// `/tmp/my-agent.log` is `MY_AGENT`.
pub(super) fn from_path(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or_default();
    let bare = file.replace(".log", "").replace("_log", "").replace("-log", "");
    let agent = bare.replace('-', "_").to_uppercase();
    if agent.is_empty() { "UNKNOWN".to_owned() } else { agent }
}

/// The records of an agent, whose name is compared without regard to case.
pub(super) fn filter(stats: &Stats, agent: &str) -> Filter {
    let wanted = agent.to_lowercase();
    let mut of_service: BTreeMap<&str, Sources> = BTreeMap::new();
    for group in &stats.groups {
        let sources = of_service.entry(&group.service).or_default();
        let found = name(&group.source, &group.service).to_lowercase() == wanted;
        if found { &mut sources.inside } else { &mut sources.outside }.push(&group.source);
    }
    of_service.retain(|_, sources| !sources.inside.is_empty());
    let mut whole = Vec::new();
    let mut either = Vec::new();
    for (service, sources) in of_service {
        if sources.outside.is_empty() && !service.is_empty() {
            whole.push(service.to_owned());
            continue;
        }
        let inside = Filter::field("source", FieldTest::OneOf(distinct(&sources.inside)));
        let named = Filter::field("service", FieldTest::Equals(service.to_owned()));
        let unnamed = Filter::Not(Box::new(Filter::field("service", FieldTest::Exists)));
        either.push(inside.and(if service.is_empty() { unnamed } else { named }));
    }
    if !whole.is_empty() {
        either.push(Filter::field("service", FieldTest::OneOf(whole)));
    }
    Filter::Or(either)
}

/// The sources of a service, by whether its records there are the agent's.
#[derive(Default)]
struct Sources<'a> {
    inside: Vec<&'a str>,
    outside: Vec<&'a str>,
}

fn distinct(names: &[&str]) -> Vec<String> {
    let mut names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The records of a level: as the line spells it, or its severity's name where the line spells none.
pub(super) fn level_filter(level: &str) -> Filter {
    let spelled = Filter::field("level", FieldTest::OneOf(vec![level.to_owned()]));
    let word = level.to_ascii_uppercase();
    if !Severity::NAMES.contains(&word.as_str()) {
        return spelled;
    }
    let unspelled = Filter::Not(Box::new(Filter::field("level", FieldTest::Exists)));
    let named = Filter::field("severity", FieldTest::Equals(word));
    Filter::Or(vec![spelled, named.and(unspelled)])
}

#[cfg(test)]
mod tests {
    use taffrail_store::engine::Group;

    use super::*;

    #[test]
    fn agents_are_named_as_the_original_does() {
        for (source, service, want) in [
            ("/tmp/my-agent.log", "my-agent", "MY_AGENT"),
            ("/tmp/my-agent.log", "AGENT", "AGENT"),
            ("/tmp/my-agent.log", "", "MY_AGENT"),
            ("/var/log/nginx/access.log", "nginx", "ACCESS"),
            ("/tmp/app_log-2.log", "app", "APP_2"),
            ("/tmp/.log", ".log", "UNKNOWN"),
            ("http:leveredge", "MY_AGENT", "MY_AGENT"),
            ("http:leveredge", "", "unknown"),
        ] {
            assert_eq!(name(source, service), want, "{source} {service}");
        }
    }

    #[test]
    fn an_agents_filter_takes_its_pairs_of_source_and_service_only() {
        let group = |source: &str, service: &str| Group {
            day: 0,
            source: source.to_owned(),
            service: service.to_owned(),
            level: "INFO".to_owned(),
            records: 1,
        };
        let groups = vec![
            group("/tmp/my-agent.log", "my-agent"),
            group("http:leveredge", "MY_AGENT"),
            group("http:leveredge", "my-agent"),
            group("/tmp/other.log", "other"),
        ];
        let stats = Stats { groups, ..Stats::default() };
        let equals = |name: &str, value: &str| Filter::field(name, FieldTest::Equals(value.to_owned()));
        let one_of = |name: &str, value: &str| Filter::field(name, FieldTest::OneOf(vec![value.to_owned()]));
        let from_file = one_of("source", "/tmp/my-agent.log").and(equals("service", "my-agent"));
        assert_eq!(filter(&stats, "my_agent"), Filter::Or(vec![from_file, one_of("service", "MY_AGENT")]));
        assert_eq!(filter(&stats, "nobody"), Filter::Or(vec![]));
    }
}
