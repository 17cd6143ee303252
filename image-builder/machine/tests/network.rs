//! What a run makes of switches: the network behind the card, forwards, the recording of frames.

use std::{fs, net::Ipv4Addr, path::Path};

use cloison_abi::port::PortFlags;
use image_compiler::{Inputs, System, Workspace, load, resolve};
use image_machine::run::{CaptureRequest, Devices, ForwardRequest, HostPorts, OpenForward};

/// The components and platforms that the test manifests name.
fn fixtures() -> Workspace {
    Workspace { root: Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/manifests/fixtures") }
}

fn two_switches() -> System {
    load(&fixtures(), &fixtures().root.join("manifests/two-switches.toml")).unwrap()
}

fn capture(text: &str) -> CaptureRequest {
    text.parse().unwrap()
}

/// A system of the fixtures with forwards that the user asks for.
fn forwarded(manifest: &str, texts: &[&str]) -> Result<System, String> {
    let path = fixtures().root.join("manifests").join(manifest);
    let inputs = Inputs::read(&fixtures(), &path);
    let plain = resolve(&inputs).unwrap();
    let requests: Vec<ForwardRequest> = texts.iter().map(|text| text.parse().unwrap()).collect();
    let addition = ForwardRequest::addition(&requests, &plain).unwrap();
    resolve(&inputs.with(&addition)).map_err(|report| report.to_string())
}

#[test]
fn the_card_is_on_the_switchs_network() {
    let system = forwarded("everything.toml", &["0:alice:80"]).unwrap();
    let forwards = OpenForward::open_all(&system, HostPorts::Free).unwrap();
    let arguments = Devices { system: &system, forwards: &forwards, disks: &[], capture: None }.arguments();
    let [shell, web] = [&forwards[0], &forwards[1]].map(|forward| forward.host_port);
    let network = format!(
        "user,id=nic0,net=192.168.0.0/24,host=192.168.0.2,dns=192.168.0.3,dhcpstart=192.168.0.15,\
         hostfwd=tcp:127.0.0.1:{shell}-192.168.0.11:22,hostfwd=udp:127.0.0.1:{shell}-192.168.0.11:22,\
         hostfwd=tcp:127.0.0.1:{web}-192.168.0.11:80,hostfwd=udp:127.0.0.1:{web}-192.168.0.11:80"
    );
    let card = ["-netdev", &network, "-device", "virtio-net-pci,netdev=nic0"];
    assert_eq!(
        arguments,
        [card.as_slice(), &["-chardev", "null,id=capture0", "-device", "isa-debugcon,chardev=capture0"]]
            .concat()
    );
    assert_eq!(forwards[1].name, "alice-80");
    assert_eq!(
        forwards[0].to_string(),
        format!("forward: 127.0.0.1:{shell} leads to alice, 192.168.0.11:22")
    );
}

#[test]
fn a_dhcp_server_gives_out_what_nobody_has() {
    let system = two_switches();
    let arguments = Devices { system: &system, forwards: &[], disks: &[], capture: None }.arguments();
    let expected = "user,id=nic0,net=10.0.0.0/24,restrict=on,host=10.0.0.2,dns=10.0.0.3,dhcpstart=10.0.0.21";
    assert_eq!(arguments[1], expected);
}

/// A system with a switch that has an uplink; `keys` are the switch's, `addresses` those of two domains.
fn uplink(keys: &str, addresses: [&str; 2]) -> System {
    let [a, b] = addresses;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.toml");
    let domains = "[domain.ore]\ncomponent = \"ore\"\n[domain.a]\ncomponent = \"host\"\n[domain.b]\ncomponent = \"host\"\n\
                   [domain.c]\ncomponent = \"card\"\ndevices = [\"nic0\"]\n";
    let ports = format!("[switch.ore.port.a]\naddress = \"{a}\"\n[switch.ore.port.b]\naddress = \"{b}\"\n");
    let system = "[system]\nname = \"test\"\nplatform = \"machine\"\n";
    fs::write(&path, format!("{system}{domains}[switch.ore]\nuplink = \"c\"\n{keys}\n{ports}")).unwrap();
    load(&fixtures(), &path).map_err(|report| report.to_string()).unwrap()
}

/// QEMU takes no two of its own hosts at one address, and answers for those that nobody states as for the others.
#[test]
fn nobody_has_an_address_of_qemus_own_hosts() {
    for (keys, addresses) in [
        ("network = \"192.168.0.0/24\"", ["192.168.0.2", "192.168.0.3"]),
        ("network = \"192.168.0.0/24\"\ngateway = \"192.168.0.3\"", ["192.168.0.2", "192.168.0.4"]),
        ("network = \"192.168.0.0/24\"\ngateway = \"192.168.0.15\"", ["192.168.0.2", "192.168.0.4"]),
        ("network = \"192.168.0.0/24\"\nname_server = \"192.168.0.2\"", ["192.168.0.3", "192.168.0.4"]),
        (
            "network = \"192.168.0.0/24\"\ngateway = \"192.168.0.1\"\nname_server = \"192.168.0.1\"",
            ["192.168.0.2", "dhcp"],
        ),
        ("network = \"192.168.0.0/24\"\nname_server = \"9.9.9.9\"", ["192.168.0.15", "dhcp"]),
        ("network = \"192.168.0.0/29\"", ["192.168.0.2", "192.168.0.3"]),
        ("network = \"192.168.0.0/30\"", ["192.168.0.1", "192.168.0.2"]),
    ] {
        let system = uplink(keys, addresses);
        let arguments = Devices { system: &system, forwards: &[], disks: &[], capture: None }.arguments();
        let network = arguments[1].to_str().unwrap();
        let of = |key: &str| {
            let option = network.split(',').find_map(|option| option.strip_prefix(&format!("{key}=")));
            option.unwrap_or_else(|| panic!("no {key} in {network}")).parse::<Ipv4Addr>().unwrap()
        };
        let own = ["host", "dns", "dhcpstart"].map(of);
        assert!(own[0] != own[1] && own[0] != own[2] && own[1] != own[2], "{network}");
        let net = system.switches()[0].network.unwrap();
        assert!(own.iter().all(|address| net.contains(*address)), "{network}");
        let ports = system.switches()[0].ports.iter().filter_map(|port| port.address).collect::<Vec<_>>();
        assert!(own[..2].iter().all(|address| !ports.contains(address)), "{network}");
        let stated = [system.switches()[0].gateway, system.switches()[0].name_server];
        assert!(stated.into_iter().flatten().all(|address| own.contains(&address) || !net.contains(address)));
    }
}

#[test]
fn a_forward_that_leads_nowhere_is_refused() {
    let refusal = |request: &str| forwarded("two-switches.toml", &[request]).unwrap_err();
    assert!(refusal("0:nobody:22").contains("nobody"), "{}", refusal("0:nobody:22"));
    assert!(refusal("0:bob:22").contains("no port on a switch with an uplink"));
    assert!(refusal("0:carol:22").contains("no fixed address"));
}

#[test]
fn a_port_of_the_host_is_forwarded_once_whoever_says_so() {
    let refusal = |requests: &[&str]| forwarded("everything.toml", requests).unwrap_err();
    for requests in [&["2211:alice:80"][..], &["7000:alice:80", "7000:alice:81"]] {
        let refusal = refusal(requests);
        assert!(refusal.contains("M094"), "{refusal}");
        let last = requests.last().unwrap().rsplit(':').next().unwrap();
        assert!(refusal.contains(&format!("or by `--forward 0:alice:{last}`")), "{refusal}");
    }
}

#[test]
fn a_forward_of_the_users_replaces_the_manifests_to_the_same_port() {
    let ports = |requests: &[&str]| -> Vec<(String, Option<u16>, u16)> {
        let system = forwarded("everything.toml", requests).unwrap();
        system.forwards().iter().map(|one| (one.name.clone(), one.host_port, one.port)).collect()
    };
    assert_eq!(ports(&["2222:alice:22"]), [("alice-22".into(), Some(2222), 22)]);
    assert_eq!(ports(&["0:alice:22"]), [("alice-22".into(), None, 22)]);
    let twice = [("alice-22".into(), Some(7001), 22), ("alice-22-2".into(), Some(7002), 22)];
    assert_eq!(ports(&["7001:alice:22", "7002:alice:22"]), twice);
}

#[test]
fn a_port_in_use_is_told_before_the_machine_starts() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let request = format!("{}:alice:22", taken.local_addr().unwrap().port());
    let system = forwarded("two-switches.toml", &[&request]).unwrap();
    let error = OpenForward::open_all(&system, HostPorts::AsStated).unwrap_err();
    assert!(error.to_string().contains("--forward 0:alice:22 chooses one that is free"), "{error}");
    assert!(error.to_string().ends_with("address already in use"), "{error}");
    assert_eq!(error.status(), 3);
}

#[test]
fn capture_adds_a_mirror_port_as_if_the_manifest_had_it() {
    let inputs = Inputs::read(&fixtures(), &fixtures().root.join("manifests/two-switches.toml"));
    let plain = resolve(&inputs).unwrap();
    let addition = capture("a,b.pcap:inner:alice").addition(&fixtures(), &plain).unwrap().unwrap();
    let system = resolve(&inputs.with(&addition)).unwrap();
    assert_ne!(system.manifest_digest(), plain.manifest_digest());
    let ports = &system.switches()[1].ports;
    let mirror = ports.last().unwrap();
    assert!(mirror.flags.contains(PortFlags::MIRROR));
    assert_eq!(system.domain(mirror.domain).name, "capture");
    assert_eq!(system.domain(mirror.domain).arguments, "0");
    let arguments =
        Devices { system: &system, forwards: &[], disks: &[], capture: Some(Path::new("a,b.pcap")) }
            .arguments();
    assert!(arguments.contains(&"file,id=capture0,path=a,,b.pcap".into()), "{arguments:?}");
}

#[test]
fn capture_asks_for_what_it_cannot_know() {
    let refusal = |text: &str| capture(text).addition(&fixtures(), &two_switches()).unwrap_err().to_string();
    assert!(refusal("f.pcap").contains("name one of the switches outer, inner: f.pcap:outer"));
    assert!(refusal("f.pcap:x").contains("there is no switch `x`"));
    assert!(refusal("f.pcap:inner:nic").contains("the switch `inner` has no port `nic`"));
}

#[test]
fn a_system_that_records_already_needs_nothing_more() {
    let inputs = Inputs::read(&fixtures(), &fixtures().root.join("manifests/two-switches.toml"));
    let addition =
        capture("f.pcap:inner").addition(&fixtures(), &resolve(&inputs).unwrap()).unwrap().unwrap();
    let recorded = resolve(&inputs.with(&addition)).unwrap();
    assert!(capture("f.pcap").addition(&fixtures(), &recorded).unwrap().is_none());
}
