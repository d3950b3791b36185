//! Who gets what, and why not.

use super::*;

const NOW: Moment = Moment::from_seconds(10_000);

fn candidate(number: u64) -> Candidate {
    Candidate {
        computer: ComputerId::numbered(number),
        traits: Traits::default(),
        software: Some(SoftwareReport::Available),
        last_contact: Some(NOW),
        busy: 0,
        free: Some(PartitionId::indexed(0)),
    }
}

fn host(number: u64, shares: u64) -> Host {
    Host {
        instance: InstanceGuid::numbered(number),
        software_type: "default".to_owned(),
        computer: ComputerId::numbered(number),
        traits: Traits::default(),
        shares,
    }
}

fn sla(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn check(conditions: &[(&str, &str)], candidates: &[Candidate], expected: Result<u64, &str>) {
    let wish = Wish {
        sla: &sla(conditions),
        software_type: "default",
        project: &ProjectName::default(),
        taken_networks: &BTreeSet::new(),
    };
    let got = allocate(&wish, candidates, NOW);
    assert_eq!(
        got.map(|it| it.computer).map_err(|it| it.to_string()),
        expected
            .map(ComputerId::numbered)
            .map_err(ToOwned::to_owned)
    );
}

fn check_host(
    conditions: &[(&str, &str)],
    software_type: &str,
    hosts: &[Host],
    expected: Result<u64, &str>,
) {
    let wish = Wish {
        sla: &sla(conditions),
        software_type,
        project: &ProjectName::default(),
        taken_networks: &BTreeSet::new(),
    };
    assert_eq!(
        choose_host(&wish, hosts).map_err(|it| it.to_string()),
        expected
            .map(InstanceGuid::numbered)
            .map_err(ToOwned::to_owned)
    );
}

#[test]
fn the_named_computer_or_none() {
    let both = [candidate(1), candidate(2)];
    check(&[("computer_guid", "COMP-2")], &both, Ok(2));
    check(
        &[("computer_guid", "COMP-3")],
        &both,
        Err("the software is not supplied on `COMP-3`, or no such computer is enrolled"),
    );
    check(
        &[],
        &[],
        Err("the software is supplied on no enrolled computer of the project `default`"),
    );
}

#[test]
fn a_condition_that_nobody_meets_is_named_for_each() {
    let mut french = candidate(2);
    french.traits.labels = sla(&[("region", "fr")]);
    let both = [candidate(1), french];
    check(&[("region", "fr")], &both, Ok(2));
    check(
        &[("region", "de"), ("cpu_core", "0")],
        &both,
        Err(
            "no computer that has the software meets the conditions: COMP-1 not region=de, COMP-2 not region=de",
        ),
    );
    check(
        &[("planet", "moon")],
        &both,
        Err("no node matches `planet`: this master does not know that key"),
    );
}

#[test]
fn a_full_computer_takes_nothing() {
    let full = Candidate {
        free: None,
        ..candidate(1)
    };
    check(
        &[],
        std::slice::from_ref(&full),
        Err("no free partition on COMP-1"),
    );
    check(&[], &[full, candidate(2)], Ok(2));
}

#[test]
fn installed_before_building_and_heard_before_silent_and_idle_before_busy() {
    let building = Candidate {
        software: Some(SoftwareReport::Building),
        ..candidate(1)
    };
    check(&[], &[building, candidate(2)], Ok(2));
    let silent = Candidate {
        last_contact: Some(Moment::from_seconds(9_000)),
        ..candidate(1)
    };
    check(&[], &[silent, candidate(2)], Ok(2));
    let busy = Candidate {
        busy: 3,
        ..candidate(1)
    };
    check(&[], &[busy, candidate(2)], Ok(2));
}

#[test]
fn a_share_goes_where_the_fewest_are_or_where_it_is_told() {
    let hosts = [host(1, 2), host(2, 1)];
    check_host(&[], "default", &hosts, Ok(2));
    check_host(&[], "", &hosts, Ok(2));
    check_host(&[("instance_guid", "SOFTINST-1")], "default", &hosts, Ok(1));
    check_host(&[("computer_guid", "COMP-1")], "default", &hosts, Ok(1));
    check_host(
        &[("instance_guid", "SOFTINST-9")],
        "default",
        &hosts,
        Err("no instance that could be shared meets `instance_guid=SOFTINST-9`"),
    );
    check_host(
        &[],
        "other",
        &hosts,
        Err(
            "no instance of this software and type runs that could be shared: request one that is not shared first",
        ),
    );
}
