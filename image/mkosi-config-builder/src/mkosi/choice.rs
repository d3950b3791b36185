//! The closed sets that mkosi 25.3 knows.

use crate::choice::choice;

choice! {
    /// What the image is made of.
    pub enum Distribution "distribution" {
        Fedora = "fedora", Debian = "debian", Kali = "kali", Ubuntu = "ubuntu", Arch = "arch",
        Opensuse = "opensuse", Mageia = "mageia", Centos = "centos", Rhel = "rhel", RhelUbi = "rhel-ubi",
        Openmandriva = "openmandriva", Rocky = "rocky", Alma = "alma", Azure = "azure", Custom = "custom",
    }
}

choice! {
    /// A processor architecture, in systemd's spelling.
    pub enum Architecture "architecture" {
        Alpha = "alpha", Arc = "arc", Arm = "arm", Arm64 = "arm64", Ia64 = "ia64",
        Loongarch64 = "loongarch64", MipsLe = "mips-le", Mips64Le = "mips64-le", Parisc = "parisc",
        Ppc = "ppc", Ppc64 = "ppc64", Ppc64Le = "ppc64-le", Riscv32 = "riscv32", Riscv64 = "riscv64",
        S390 = "s390", S390x = "s390x", Tilegx = "tilegx", X86 = "x86", X86_64 = "x86-64",
    }
}

impl Architecture {
    /// Returns whether machines of this kind boot by UEFI, and so a UKI.
    pub const fn has_uefi(self) -> bool {
        matches!(
            self,
            Self::X86_64 | Self::X86 | Self::Arm64 | Self::Arm | Self::Riscv64 | Self::Loongarch64
        )
    }
}

choice! {
    /// What comes out of the build.
    pub enum Format "output format" {
        Confext = "confext", Cpio = "cpio", Directory = "directory", Disk = "disk", Esp = "esp",
        None = "none", Portable = "portable", Sysext = "sysext", Tar = "tar", Uki = "uki",
        Oci = "oci", Addon = "addon",
    }
}

choice! {
    /// A list of the packages that went into the image.
    pub enum ManifestFormat "manifest format" {
        Json = "json", Changelog = "changelog",
    }
}

choice! {
    /// How the output as a whole is compressed.
    pub enum Compression "compression" {
        None = "none", Zstd = "zstd", Xz = "xz", Bz2 = "bz2", Gz = "gz", Lz4 = "lz4", Lzma = "lzma",
    }
}

choice! {
    /// A part of the image that is also put beside it as a file.
    pub enum Artifact "artifact" {
        Uki = "uki", Kernel = "kernel", Initrd = "initrd", Partitions = "partitions",
    }
}

choice! {
    /// On, off, or as mkosi sees fit: `Bootable=`, `Verity=` and others.
    pub enum Feature "feature" {
        Auto = "auto", Enabled = "enabled", Disabled = "disabled",
    }
}

choice! {
    /// What the firmware starts.
    pub enum Bootloader "boot loader" {
        None = "none", Uki = "uki", SystemdBoot = "systemd-boot", Grub = "grub", UkiSigned = "uki-signed",
        SystemdBootSigned = "systemd-boot-signed", GrubSigned = "grub-signed",
    }
}

choice! {
    /// What a BIOS starts.
    pub enum BiosBootloader "BIOS boot loader" {
        None = "none", Grub = "grub",
    }
}

choice! {
    /// The shim before the boot loader.
    pub enum ShimBootloader "shim" {
        None = "none", Signed = "signed", Unsigned = "unsigned",
    }
}

choice! {
    /// The tool that signs for secure boot.
    pub enum SecureBootSignTool "signing tool" {
        Auto = "auto", Sbsign = "sbsign", SystemdSbsign = "systemd-sbsign",
    }
}

choice! {
    /// Whether builds start from the cache of the last one.
    pub enum Incremental "incremental mode" {
        Yes = "yes", No = "no", Strict = "strict",
    }
}

choice! {
    /// When the package manager may use the network.
    pub enum CacheOnly "cache mode" {
        Always = "always", Auto = "auto", Metadata = "metadata", Never = "never",
    }
}

choice! {
    /// Whether build scripts may change the sources they see.
    pub enum BuildSourcesEphemeral "mode of build sources" {
        Yes = "yes", No = "no", Buildcache = "buildcache",
    }
}

choice! {
    /// What a virtual machine's network is.
    pub enum RuntimeNetwork "network" {
        Interface = "interface", User = "user", None = "none",
    }
}

choice! {
    /// What runs the virtual machine.
    pub enum VirtualMachineMonitor "virtual machine monitor" {
        Qemu = "qemu", Vmspawn = "vmspawn",
    }
}

choice! {
    /// The firmware of a virtual machine.
    pub enum Firmware "firmware" {
        Auto = "auto", Linux = "linux", Uefi = "uefi", UefiSecureBoot = "uefi-secure-boot", Bios = "bios",
    }
}

choice! {
    /// The console of a virtual machine.
    pub enum Console "console" {
        Interactive = "interactive", ReadOnly = "read-only", Native = "native", Gui = "gui",
    }
}

choice! {
    /// The logical sector size of the disk image, in bytes.
    pub enum SectorSize "sector size" {
        B512 = "512", B1024 = "1024", B2048 = "2048", B4096 = "4096",
    }
}

impl SectorSize {
    /// Returns the number of bytes.
    pub const fn as_bytes(self) -> u64 {
        match self {
            Self::B512 => 512,
            Self::B1024 => 1024,
            Self::B2048 => 2048,
            Self::B4096 => 4096,
        }
    }
}
