//! What is understood, and what is said about what is not.

use clap::CommandFactory as _;

use super::*;

fn parse(line: &str) -> Result<Command, String> {
    let words = std::iter::once("slapbox").chain(line.split_whitespace());
    match Arguments::try_parse_from(words) {
        Ok(arguments) => Ok(arguments.command),
        Err(error) => Err(error
            .to_string()
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned()),
    }
}

#[test]
fn the_arguments_are_consistent() {
    Arguments::command().debug_assert();
}

#[test]
fn a_request_says_what_where_and_how() {
    let line = "request site https://m/x.oci.tar --type web --node computer_guid=COMP-2 --parameters a=1 --parameters b=c=d --state stopped";
    let Ok(Command::Request(request)) = parse(line) else {
        panic!("no request");
    };
    assert_eq!(request.title.as_str(), "site");
    assert_eq!(request.software_type, "web");
    assert_eq!(
        request.node,
        [Assignment {
            key: "computer_guid".into(),
            value: "COMP-2".into()
        }]
    );
    assert_eq!(
        request.parameters[1],
        Assignment {
            key: "b".into(),
            value: "c=d".into()
        }
    );
    assert_eq!(request.state, Some(RequestedState::Stopped));
}

#[test]
fn several_may_follow_one_option_as_fingers_know_it() {
    let line = "request site url --parameters a=1 b=2 --node computer_guid=COMP-2 region=north --slave --type web";
    let Ok(Command::Request(request)) = parse(line) else {
        panic!("no request");
    };
    assert_eq!((request.parameters.len(), request.node.len()), (2, 2));
    assert!(request.slave);
    let Ok(Command::Request(request)) =
        parse("request site url --parameters-file p.yaml --force-serialisation json-in-xml")
    else {
        panic!("no request");
    };
    assert_eq!(request.parameters_file.unwrap(), "p.yaml");
    assert_eq!(request.force_serialisation, Some(Serialisation::JsonInXml));
}

/// What a script may want to read, it can.
#[test]
fn every_verb_speaks_json() {
    fn silent(command: &clap::Command, path: &str, found: &mut Vec<String>) {
        let path = format!("{path} {}", command.get_name());
        if command.get_subcommands().next().is_some() {
            for inner in command.get_subcommands() {
                silent(inner, &path, found);
            }
        } else if command.get_arguments().all(|it| it.get_id() != "json") {
            found.push(path.trim().to_owned());
        }
    }
    let mut found = Vec::new();
    silent(&Arguments::command(), "", &mut found);
    // The answer of one is another machine's, of the other a script.
    assert_eq!(found, ["slapbox node console", "slapbox complete"]);
}

#[test]
fn shells_are_told_every_verb() {
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Arguments::command(), "slapos", &mut script);
        let script = String::from_utf8(script).unwrap();
        for word in ["slapos", "supply", "request", "parameters-file", "log"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn a_token_is_for_one_node_and_an_hour_unless_said() {
    let Ok(Command::Token(TokenCommand::Create {
        lifetime,
        uses,
        no_auto_approve,
        project,
        ..
    })) = parse("token create")
    else {
        panic!("no token");
    };
    assert_eq!(
        (lifetime.as_secs(), uses, no_auto_approve),
        (3600, 1, false)
    );
    assert_eq!(project, None);
}

#[test]
fn what_is_wrong_is_said_in_words() {
    for (line, words) in [
        (
            "request site url --parameters greeting",
            "error: invalid value 'greeting' for '--parameters <KEY=VALUE>...': expected KEY=VALUE",
        ),
        (
            "request site url --node =x",
            "error: invalid value '=x' for '--node <KEY=VALUE>...': expected KEY=VALUE",
        ),
        (
            "request site url --state running",
            "error: invalid value 'running' for '--state <STATE>': `running` is no state; it must be `started`, `stopped` or `destroyed`",
        ),
        (
            "login hello",
            "error: invalid value 'hello' for '<JOIN>': a join blob begins with `slapbox1.`",
        ),
        (
            "token create --lifetime soon",
            "error: invalid value 'soon' for '--lifetime <LIFETIME>': a lifetime is a number and a unit: 90s, 10m, 24h, 7d",
        ),
        (
            "supply url ../x",
            "error: invalid value '../x' for '<COMPUTER>': `../x` cannot name a computer: 1 to 128 letters, digits, `.`, `_`, `-`, the first a letter or a digit",
        ),
        (
            "request site url --parameters a=1 --parameters-file p.json",
            "error: the argument '--parameters <KEY=VALUE>...' cannot be used with '--parameters-file <FILE>'",
        ),
        (
            "request site url --force-serialisation xml",
            "error: the following required arguments were not provided:",
        ),
        (
            "service forward site --listen 8080",
            "error: invalid value '8080' for '--listen <ADDRESS>': invalid socket address syntax",
        ),
    ] {
        assert_eq!(parse(line).unwrap_err(), words, "{line}");
    }
}

#[test]
fn an_invitation_is_for_a_person_and_a_role_is_one_somewhere() {
    let Ok(Command::User(UserCommand::Invite { name, kind, .. })) = parse("user invite ann") else {
        panic!("no invitation");
    };
    assert_eq!((name.as_str(), kind), ("ann", people::Kind::Person));
    let refused = parse("user invite ann --role manager").unwrap_err();
    assert!(refused.contains("required arguments"), "{refused}");
    let refused = parse("user invite ann --project p --role king").unwrap_err();
    assert!(refused.contains("`king` is no state"), "{refused}");
    assert!(parse("user invite a/b").is_err());
}

fn register(line: &str) -> Register {
    match parse(&format!("node register {line}")) {
        Ok(Command::Node(Node {
            command: Some(NodeCommand::Register(register)),
            ..
        })) => *register,
        other => panic!("`{line}` is {other:?}"),
    }
}

#[test]
fn a_node_is_registered_as_fingers_know_it() {
    let ours = register("--join slapbox1.abc --name edge-1 --partitions 20 --dry-run");
    assert_eq!(ours.called.as_deref(), Some("edge-1"));
    assert_eq!((ours.partitions, ours.dry_run), (Some(20), true));
    let theirs = register("edge-1 --token slapbox1.abc --partition-number 20 -t -n");
    assert_eq!(theirs.name.as_deref(), Some("edge-1"));
    assert_eq!(theirs.join.as_deref(), Some("slapbox1.abc"));
    assert_eq!((theirs.partitions, theirs.dry_run), (Some(20), true));
    assert_eq!(theirs.elsewhere.refusal(), None);

    for bad in [
        "--join slapbox1.abc --token-file line",
        "edge-1 --name edge-2",
        "--partitions 0",
        "--config box.toml --partitions 7",
    ] {
        assert!(parse(&format!("node register {bad}")).is_err(), "{bad}");
    }
}

#[test]
fn what_a_node_has_no_choice_about_is_refused_and_not_passed_over() {
    let same = "--ipv4-local-network 10.0.0.0/16 --instance-root /srv/slapgrid/";
    assert_eq!(register(same).elsewhere.refusal(), None);
    for (line, named) in [
        ("--master-url https://slap.example", "`--master-url` cannot"),
        ("--master-url-web https://m", "`--master-url-web` cannot"),
        ("--interface-name eth0", "`--interface-name` cannot"),
        (
            "--ipv4-local-network 10.1.0.0/16",
            "`--ipv4-local-network` cannot",
        ),
        ("--instance-root /opt", "mount another disk there"),
        ("--software-root /opt", "mount another disk there"),
        ("--cfg slapos.cfg", "`--config FILE` hands over"),
    ] {
        let refusal = register(line).elsewhere.refusal().unwrap_or_default();
        assert!(refusal.contains(named), "{line}: {refusal}");
    }
}

#[test]
fn a_node_without_a_word_is_asked_how_it_is() {
    let Ok(Command::Node(node)) = parse("node --json") else {
        panic!("no node");
    };
    assert!(node.command.is_none() && node.status.json);
    let Ok(Command::Node(Node {
        command: Some(NodeCommand::Log(log)),
        ..
    })) = parse("node log slappart3 -f -n 5")
    else {
        panic!("no log");
    };
    assert_eq!((log.partition, log.follow, log.lines), (3, true, 5));
    let refusal = parse("node log slapuser3").unwrap_err();
    assert!(refusal.contains("slappart3"), "{refusal}");
}

#[test]
fn releases_and_instances_are_done_again_as_fingers_know_it() {
    let command = |line: &str| match parse(&format!("node {line}")) {
        Ok(Command::Node(Node {
            command: Some(command),
            ..
        })) => Ok(command),
        Ok(_) => panic!("{line} is no command of a node"),
        Err(refusal) => Err(refusal),
    };
    let Ok(NodeCommand::Software(asked)) = command("software --force --only-sr https://m/a.cfg")
    else {
        panic!("no look at releases");
    };
    assert!(asked.force && !asked.garbage_collect && !asked.look.json);
    assert_eq!(asked.only_sr.as_deref(), Some("https://m/a.cfg"));
    let Ok(NodeCommand::Instance(asked)) = command("instance --force --only-cp a,b --json") else {
        panic!("no look at instances");
    };
    assert!(asked.force && asked.look.json);
    assert_eq!(asked.only_cp, ["a", "b"]);
    let line =
        "prune --dry-run --additional-software-directory /a --additional-software-directory /b";
    let Ok(NodeCommand::Prune(asked)) = command(line) else {
        panic!("nothing is pruned");
    };
    assert!(asked.dry_run);
    assert_eq!(asked.additional_software_directory, ["/a", "/b"]);
    for bad in [
        "software --garbage-collect --force",
        "instance --garbage-collect",
        "promise --force",
    ] {
        assert!(command(bad).is_err(), "{bad}");
    }
}

#[test]
fn the_overlay_is_shown_one_way_at_a_time() {
    assert!(matches!(parse("net --json"), Ok(Command::Net(_))));
    assert!(matches!(
        parse("net map --socket /tmp/x"),
        Ok(Command::Net(Net {
            command: Some(NetCommand::Map(_)),
            ..
        }))
    ));
    let both = parse("net --json --metrics").unwrap_err();
    assert!(both.contains("cannot be used with"), "{both}");
}
