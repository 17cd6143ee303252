//! Every boot scenario, each as a test of its own.

use std::{collections::BTreeSet, fs};

/// Makes a test of each scenario `tests/boot/NAME.expect`.
macro_rules! boot_tests {
    ($($test:ident: $scenario:literal,)*) => {
        const SCENARIOS: &[&str] = &[$($scenario),*];
        $(
            #[test]
            fn $test() {
                harness::assert_boots($scenario);
            }
        )*
    };
}

boot_tests! {
    hello_boots: "hello",
    hello_boots_with_four_processors: "hello-smp-4",
    hello_boots_in_64_mib: "hello-memory-64m",
    hello_boots_in_8_gib: "hello-memory-8g",
    hello_boots_with_uefi_firmware: "hello-uefi",
    hello_boots_with_uefi_firmware_and_4_gib: "hello-uefi-memory-4g",
    hello_boots_by_the_loader_of_this_project: "hello-efi",
    a_disc_in_a_drive_starts_by_a_bios: "hello-iso-bios",
    a_disc_in_a_drive_starts_by_uefi: "hello-iso-efi",
    a_stick_starts_by_a_bios: "hello-raw-bios",
    a_stick_starts_by_uefi: "hello-raw-efi",
    a_disk_in_a_cloud_starts_by_a_bios: "hello-qcow2-bios",
    a_disk_in_a_cloud_starts_by_uefi: "hello-qcow2-efi",
    the_loader_refuses_a_changed_domain: "efi-domain",
    the_loader_refuses_an_image_cut_short: "efi-truncated",
    registers_are_as_foretold: "measured",
    a_changed_byte_changes_one_register: "measured-padding",
    registers_below_a_bios_are_as_foretold: "bios-registers",
    registers_of_a_tpm_1_2_below_a_bios_are_as_foretold: "bios-registers-1.2",
    registers_below_a_bios_that_starts_a_stick_are_as_foretold: "bios-registers-raw",
    a_cpu_that_stands_still_has_been_spoken_on_before: "hello-cpu-westmere",
    another_cpu_that_stands_still_has_been_spoken_on_before: "hello-cpu-opteron",
    a_cpu_without_a_feature_is_refused: "hello-qemu64",
    the_tutorials_domains_talk: "tutorial",
    tpm_demo_reads_a_tpm_1_2: "tpm-demo-1.2",
    tpm_demo_reads_a_tpm_2_0: "tpm-demo-2.0",
    what_is_shown_of_a_tpm_1_2_is_what_the_host_reads: "tpm-read-1.2",
    what_is_shown_of_a_tpm_2_0_is_what_the_host_reads: "tpm-read-2.0",
    a_tpm_1_2_with_an_owner_is_shown: "tpm-owned-1.2",
    a_tpm_2_0_with_a_password_and_few_registers_is_shown: "tpm-owned-2.0",
    tpm_demo_says_that_there_is_no_tpm: "tpm-demo-none",
    a_tpm_that_is_pulled_out_is_an_error: "tpm-demo-unplugged",
    a_tpm_that_hangs_is_an_error: "tpm-demo-frozen",
    an_image_that_is_none_is_refused: "damage-magic",
    an_image_of_another_version_is_refused: "damage-abi-version",
    a_changed_plan_is_refused: "damage-plan",
    an_image_cut_short_is_refused: "damage-truncated",
    a_changed_domain_is_refused: "damage-domain",
    a_changed_builder_is_refused: "damage-builder",
    a_changed_header_is_refused: "damage-header",
    too_little_memory_is_said: "memory-too-little",
    nobody_holds_the_builders_rights: "census",
    nobody_holds_any_right_of_a_builder_that_has_ended: "census-empty",
    a_right_is_withdrawn_and_given_back: "ipcmon-demo",
    two_banks_are_kept_apart_whoever_asks: "mac-demo",
    nothing_is_allowed_because_the_monitor_crashed: "ipcmon-restart",
    no_signal_is_lost: "signals",
    futures_run_by_time_and_by_events: "tasks",
    a_crashed_tpm_service_is_restarted: "stpm-restart",
    a_switch_that_crashes_loses_no_byte: "ore-restart",
    a_network_card_that_crashes_is_restarted: "nic-restart",
    a_card_with_an_unusable_capability_first_is_used: "card-pio-notify",
    a_stock_linux_boots_to_a_shell: "linux-demo",
    the_kernel_of_the_next_debian_boots_too: "linux-debian13",
    a_guest_reads_a_tpm_2_0_as_the_host_does: "linux-tpm-2.0",
    a_guest_reads_a_tpm_1_2_as_the_host_does: "linux-tpm-1.2",
    guests_and_domains_reach_each_other: "linux-net",
    no_guest_has_the_signers_key: "linux-three",
    a_guest_stands_still_and_goes_on: "linux-pause",
    a_guest_goes_on_from_where_it_was_saved: "linux-save",
    three_guests_make_a_periodic_domain_no_later: "linux-three-times",
    a_guest_has_a_disk_of_its_own: "linux-disk",
    a_guest_cannot_write_a_disk_that_is_read_only: "disk-read-only",
    a_guest_goes_on_when_its_disk_is_restarted: "disk-restart",
    clients_of_a_disk_reach_their_own_sectors: "disk-prober",
    a_debian_starts_from_a_disk_and_works: "linux-debian",
    the_console_keeps_clients_apart: "console",
    a_line_without_an_end_is_shown_and_edited: "prompt",
    a_shell_on_the_console_edits_completes_and_answers: "run-demo",
    a_system_is_chosen_by_typing_its_number: "menu-typed",
    the_menu_has_the_monitor: "menu-ipcmon",
    the_menu_has_the_tpm: "menu-tpm",
    the_menu_has_the_network: "menu-net",
    the_menu_has_a_linux: "menu-linux",
    a_keylogger_sees_its_own_input_alone: "keylogger",
    what_the_host_says_is_judged_too: "host-command",
    domains_see_each_other_over_a_switch: "net-demo",
    a_page_bears_many_clients: "page-load",
    virtual_lans_are_kept_apart: "vlan-demo",
    the_host_reaches_a_domain_through_a_forward: "forward",
    a_domain_asks_another_for_its_arguments: "cmdline",
    two_domains_measure_tcp_between_them: "iperf",
    the_hosts_iperf3_measures_a_domain: "iperf-host",
    a_closed_log_falls_back_to_the_kernel: "log-closed",
    without_a_console_the_kernel_brings_lines_out: "chatter",
    a_line_that_interrupts_without_end_is_masked: "storm",
    the_kernel_bears_its_own_attacks: "self-attack",
    the_kernel_bears_its_own_attacks_under_uefi: "self-attack-uefi",
    a_domain_that_is_stopped_leaves_no_line_open: "self-attack-stop",
    memory_is_lent_and_taken_back: "loan",
    a_client_lends_a_text_as_long_as_its_option_says: "reading",
    a_domain_handles_the_faults_of_another: "nurse",
    a_domain_prints_its_own_map: "map",
    memory_that_is_dropped_is_unmapped: "remapper",
    a_new_life_is_as_the_first: "lives",
    a_thousand_lives_on_request_leave_nothing: "on-request",
    what_was_lent_comes_back_at_the_end: "heir",
    a_ring_outlives_another_server: "ring-survives",
    a_domain_takes_its_budget_and_no_more: "hog",
    a_periodic_domain_is_as_late_as_the_plan_says: "rt-demo",
    a_caller_shares_the_cpu_with_its_peers: "caller-shares",
    a_servers_work_is_its_clients: "endless-service",
    a_stopped_clients_priority_does_not_stay: "survivor",
    the_default_budgets_leave_something: "two-hogs",
    restarts_cost_those_above_nothing: "crash-loop",
    a_domain_that_faults_is_stopped: "fault-stop",
    a_fault_can_halt_the_system: "fault-halt",
    a_fault_that_nobody_handles_stops_the_domain: "fault-abandoned",
    a_run_fails_with_a_domain_that_always_faults: "fault-forever",
    a_domain_that_always_faults_is_given_pauses: "fault-again",
    a_system_fails_with_the_domain_it_ends_with: "fault-end",
    forbidden_acts_end_as_they_must: "prober",
    guests_stay_in_their_memory: "guest-prober",
    a_new_life_has_a_guest_as_the_first: "guest-lives",
    the_kernel_keeps_its_rules_before_a_builder: "architect",
    what_the_builder_knew_is_forgotten: "builder-forgets",
    forbidden_acts_end_as_they_must_without_smap: "prober-no-smap",
    a_domain_without_a_port_sends_no_frame: "prober-no-port",
    waking_all_the_time_does_not_starve_others: "restless",
    a_million_random_calls_harm_nobody: "fuzzer",
    vector_registers_survive_context_switches: "switcher",
    a_hostile_port_harms_nobody: "frame-prober",
    a_port_that_burns_the_switchs_time_leaves_most_of_it: "burner",
}

#[test]
fn every_scenario_has_a_test() {
    let files = fs::read_dir(harness::scenarios()).unwrap().map(|entry| entry.unwrap().path());
    let written: BTreeSet<String> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "expect"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    let tested: BTreeSet<String> = SCENARIOS.iter().map(|&name| name.to_owned()).collect();
    assert_eq!(written, tested, "files in tests/boot on the left, tests in this file on the right");
}
