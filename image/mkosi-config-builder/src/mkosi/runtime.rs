//! The section of `mkosi.conf` for running the image in a container or a virtual machine.

use super::choice::*;
use crate::path::{BuildPath, TreePath};
use crate::section::section;
use crate::{Size, Text, Word};

section! {
    /// How `mkosi boot` and `mkosi vm` run the image.
    #[derive(Default)]
    pub struct RuntimeSection ["Runtime"] {
        nspawn_settings: Option<BuildPath> = "NSpawnSettings",
        ephemeral: Option<bool> = "Ephemeral",
        /// `NAME=value` each.
        credentials: Vec<Word> = "Credentials",
        kernel_command_line_extra: Vec<Word> = "KernelCommandLineExtra",
        runtime_trees: Vec<TreePath> = "RuntimeTrees",
        runtime_size: Option<Size> = "RuntimeSize",
        runtime_scratch: Option<Feature> = "RuntimeScratch",
        runtime_network: Option<RuntimeNetwork> = "RuntimeNetwork",
        runtime_build_sources: Option<bool> = "RuntimeBuildSources",
        runtime_home: Option<bool> = "RuntimeHome",
        unit_properties: Vec<Word> = "UnitProperties",
        ssh_key: Option<BuildPath> = "SshKey",
        ssh_certificate: Option<BuildPath> = "SshCertificate",
        virtual_machine_monitor: Option<VirtualMachineMonitor> = "VirtualMachineMonitor",
        machine: Option<Text> = "Machine",
        forward_journal: Option<BuildPath> = "ForwardJournal",
        sysupdate_directory: Option<BuildPath> = "SysupdateDirectory",
        console: Option<Console> = "Console",
        cpus: Option<u32> = "CPUs",
        ram: Option<Size> = "RAM",
        kvm: Option<Feature> = "KVM",
        vsock: Option<Feature> = "VSock",
        /// `auto`, `hash` or a number from 3.
        vsock_cid: Option<Text> = "VSockCID",
        tpm: Option<Feature> = "TPM",
        cdrom: Option<bool> = "CDROM",
        removable: Option<bool> = "Removable",
        firmware: Option<Firmware> = "Firmware",
        firmware_variables: Option<BuildPath> = "FirmwareVariables",
        linux: Option<BuildPath> = "Linux",
        /// `ID:SIZE[:FOLDER[:OPTIONS[:FILE]]]` each.
        drives: Vec<Word> = "Drives",
        qemu_args: Vec<Word> = "QemuArgs",
        register: Option<Feature> = "Register",
    }
}
