//! What a network's domains are told in the image: ports, badges, a card.

use super::*;

#[test]
fn a_switch_knows_its_ports_by_the_badges_of_its_clients() {
    let read = Read::everything();
    let switch = read.domain("ore");
    let ports = read.ports_of(switch);
    let names: Vec<_> = ports.iter().map(|port| port.name.as_str()).collect();
    assert_eq!(names, ["nic", "alice", "bob", "recorder"], "the uplink first, then as the manifest has them");
    let clients = read.told::<Client>(switch);
    assert!(clients.iter().enumerate().all(|(place, client)| client.channel.badge.index() == place));
    for port in &ports {
        let is_at_port =
            |client: &&Client| client.name.as_str() == "port" && client.channel.peer == port.name;
        assert_eq!(clients.iter().find(is_at_port).unwrap().channel.badge, port.badge);
        assert_eq!(port.switch.as_str(), "ore");
    }
    let [nic, alice, bob, recorder] = ports[..] else { panic!("{names:?}") };
    let flags = [nic, alice, bob, recorder].map(|port| PortFlags::from_bits(port.flags).unwrap());
    assert_eq!(flags, [PortFlags::UPLINK, PortFlags::empty(), PortFlags::DHCP, PortFlags::MIRROR]);
    assert_eq!([nic, alice, bob, recorder].map(|port| port.may_send_to), [0b110, 0b001, 0b011, 0]);
    assert_eq!([nic, alice, bob, recorder].map(|port| port.mtu), [UPLINK_MTU, 9000, 9000, 9000]);
    assert_eq!((alice.rate_bytes, alice.burst_bytes), (12_500_000, 32 * 1024));
    assert_eq!((nic.mac, bob.mac), ([2, 1, 0, 0, 0, 0], [2, 1, 0, 0, 0, 2]));
    assert_eq!((nic.vlan, recorder.mac), (DEFAULT_VLAN, [0; 6]));
}

#[test]
fn a_domain_is_told_of_its_port_and_not_of_what_is_the_switchs_business() {
    let read = Read::everything();
    let [port] = read.ports_of(read.domain("alice"))[..] else { panic!("one port") };
    let expected = PortSettings {
        name: Name::new("net").unwrap(),
        switch: Name::new("ore").unwrap(),
        mac: [2, 0, 0, 0, 0, 11],
        address: [192, 168, 0, 11],
        prefix_bits: 24,
        gateway: [192, 168, 0, 2],
        name_server: [192, 168, 0, 3],
        mtu: 9000,
        ..PortSettings::default()
    };
    assert_eq!(port, expected);
    let [port] = read.ports_of(read.domain("bob"))[..] else { panic!("one port") };
    assert_eq!((port.flags, port.address, port.prefix_bits), (PortFlags::DHCP.bits(), [0; 4], 0));
    assert_eq!(read.settings(read.domain("alice"), SETTINGS_ARGUMENTS), b"hello, bob");
    assert!(read.settings(read.domain("quiet"), SETTINGS_ARGUMENTS).is_empty());
}

#[test]
fn a_card_gets_its_areas_its_message_and_memory_whose_place_it_may_know() {
    let read = Read::everything();
    let card = read.domain("nic");
    let areas: Vec<_> = read.told::<Area>(card).iter().map(|area| (area.number, area.bytes)).collect();
    assert_eq!(areas, [(0, 0x4000)]);
    let is_its = |device: &DeviceEntry| device.domain == card;
    let nic = read.devices.iter().position(is_its).unwrap() as u32;
    assert_eq!(
        (read.devices[nic as usize].name.as_str(), read.devices[nic as usize].pci_function),
        ("nic0", 3 << 3)
    );
    let found = read.areas.iter().filter(|area| area.device == nic);
    let found: Vec<_> = found.map(|area| (area.number, area.physical_address)).collect();
    assert_eq!(found, [(0, 0xfd00_0000)]);
    let [page] = read.configuration_pages.iter().filter(|page| page.device == nic).collect::<Vec<_>>()[..]
    else {
        panic!("one page for a function")
    };
    let seen = read.mappings.iter().find(|mapping| mapping.region == page.region).unwrap();
    let told = read.told::<ConfigurationPage>(card)[0];
    assert_eq!((seen.domain, seen.address, seen.pages), (card, told.address, 1));
    let interrupt = read.interrupts.iter().find(|interrupt| interrupt.device == nic).unwrap();
    let source = InterruptSource::from_bits(interrupt.source);
    assert_eq!((interrupt.thread, source), (card, Some(InterruptSource::Message { number: 0 })));
    let held = |domain| {
        let held = read.region_slots.iter().find(|held| held.domain == domain).unwrap();
        (held.region, Rights::from_bits(held.rights).unwrap().contains(Rights::DMA))
    };
    let [DmaEntry { device, region }] = read.dma[..] else { panic!("one region for a device") };
    assert_eq!((device, (region, true)), (nic, held(card)));
    assert!(!held(read.domain("keeper")).1);
}
