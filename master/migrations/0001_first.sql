-- Times are in microseconds since 1970, flags are 0 or 1. No type, function or clause that only one engine has.

CREATE TABLE settings (
    name TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
);

-- The numbers in COMP-1, SOFTINST-1, operator-1, person-1, organisation-1.
CREATE TABLE counters (
    name TEXT PRIMARY KEY NOT NULL,
    value BIGINT NOT NULL
);
INSERT INTO counters (name, value) VALUES ('COMP', 0), ('SOFTINST', 0), ('operator', 0), ('person', 0), ('organisation', 0);

-- What people, computers and trees belong to.
CREATE TABLE projects (
    name TEXT PRIMARY KEY NOT NULL,
    created_at BIGINT NOT NULL
);
INSERT INTO projects (name, created_at) VALUES ('default', 0);

-- Those with a certificate who are no machine.
CREATE TABLE users (
    name TEXT PRIMARY KEY NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('operator', 'person', 'organisation')),
    state TEXT NOT NULL CHECK (state IN ('enrolled', 'revoked')),
    created_at BIGINT NOT NULL
);

-- Who may do what in a project.
CREATE TABLE roles (
    project TEXT NOT NULL REFERENCES projects (name),
    holder TEXT NOT NULL REFERENCES users (name),
    role TEXT NOT NULL CHECK (role IN ('member', 'manager')),
    PRIMARY KEY (project, holder)
);
CREATE INDEX roles_holder ON roles (holder);

-- What an organisation may, its people may.
CREATE TABLE affiliations (
    organisation TEXT NOT NULL REFERENCES users (name),
    person TEXT NOT NULL REFERENCES users (name),
    PRIMARY KEY (organisation, person)
);
CREATE INDEX affiliations_person ON affiliations (person);

CREATE TABLE tokens (
    id TEXT PRIMARY KEY NOT NULL,
    secret_sha256 TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('node', 'operator', 'person', 'organisation')),
    uses BIGINT NOT NULL,
    used BIGINT NOT NULL DEFAULT 0,
    expires_at BIGINT NOT NULL,
    auto_approve BIGINT NOT NULL,
    labels TEXT NOT NULL,
    expected_serial TEXT,
    -- Of a user: who the bearer becomes.
    name TEXT,
    -- What the bearer belongs to from then on, and what a user may do there.
    project TEXT REFERENCES projects (name),
    role TEXT CHECK (role IN ('member', 'manager')),
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    revoked_at BIGINT
);

-- Which key redeemed which token: what makes redeeming idempotent.
CREATE TABLE redemptions (
    token TEXT NOT NULL REFERENCES tokens (id),
    public_key TEXT NOT NULL,
    identity TEXT NOT NULL,
    redeemed_at BIGINT NOT NULL,
    PRIMARY KEY (token, public_key)
);

-- public_key: SHA-256 of the SubjectPublicKeyInfo; none where the machine never showed one. generation: moves whenever the desired state of the computer does.
-- version: moves whenever what the computer is told does, desired or not; a time, so that no number is ever used twice, restored or not.
CREATE TABLE computers (
    reference TEXT PRIMARY KEY NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'approved', 'enrolled', 'revoked')),
    public_key TEXT UNIQUE,
    code TEXT NOT NULL,
    smbios_uuid TEXT NOT NULL,
    inventory TEXT NOT NULL,
    labels TEXT NOT NULL,
    project TEXT NOT NULL REFERENCES projects (name),
    created_at BIGINT NOT NULL,
    last_contact BIGINT,
    generation BIGINT NOT NULL DEFAULT 0,
    version BIGINT NOT NULL DEFAULT 0,
    report TEXT,
    usage TEXT,
    -- The public key by which it signs what it builds, and whether its project's other computers may take that.
    cache_key TEXT,
    trusted BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX computers_project ON computers (project);
CREATE INDEX computers_smbios_uuid ON computers (smbios_uuid);

-- What an operator should look at: a clone, most likely.
CREATE TABLE computer_warnings (
    computer TEXT NOT NULL REFERENCES computers (reference),
    warning TEXT NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (computer, warning)
);

-- ca: the pin of who signed it.
CREATE TABLE certificates (
    serial TEXT PRIMARY KEY NOT NULL,
    identity TEXT NOT NULL,
    ca TEXT NOT NULL,
    issued_at BIGINT NOT NULL,
    not_after BIGINT NOT NULL,
    revoked_at BIGINT
);
CREATE INDEX certificates_identity ON certificates (identity);

CREATE TABLE supplies (
    computer TEXT NOT NULL REFERENCES computers (reference),
    url TEXT NOT NULL,
    requested_state TEXT NOT NULL CHECK (requested_state IN ('available', 'destroyed')),
    reported_state TEXT NOT NULL DEFAULT '' CHECK (reported_state IN ('', 'building', 'available', 'destroyed', 'error')),
    status TEXT NOT NULL DEFAULT '',
    status_at BIGINT NOT NULL DEFAULT 0,
    status_since BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (computer, url)
);
CREATE INDEX supplies_url ON supplies (url);

-- owner: who requested it; empty where an operator did, since to operators all belongs to all.
CREATE TABLE trees (
    reference TEXT PRIMARY KEY NOT NULL,
    project TEXT NOT NULL REFERENCES projects (name),
    owner TEXT NOT NULL,
    title TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    UNIQUE (project, owner, title)
);
CREATE INDEX trees_title ON trees (title);

CREATE TABLE instances (
    reference TEXT PRIMARY KEY NOT NULL,
    tree TEXT NOT NULL REFERENCES trees (reference),
    parent TEXT REFERENCES instances (reference),
    -- Of a shared instance: whose partition it shares; none while it waits for one.
    host TEXT REFERENCES instances (reference),
    title TEXT NOT NULL,
    software_url TEXT NOT NULL,
    software_type TEXT NOT NULL,
    parameters TEXT NOT NULL,
    sla TEXT NOT NULL,
    shared BIGINT NOT NULL,
    requested_state TEXT NOT NULL CHECK (requested_state IN ('started', 'stopped', 'destroyed')),
    reported_state TEXT NOT NULL DEFAULT '' CHECK (reported_state IN ('', 'started', 'stopped', 'destroyed', 'error')),
    status TEXT NOT NULL DEFAULT '',
    -- When the status was last said, and since when it was no other.
    status_at BIGINT NOT NULL DEFAULT 0,
    status_since BIGINT NOT NULL DEFAULT 0,
    connection TEXT NOT NULL DEFAULT '{}',
    -- Why it has no partition yet; empty when it has one.
    waiting TEXT NOT NULL DEFAULT '',
    processing_timestamp BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (tree, title)
);
CREATE INDEX instances_parent ON instances (parent);
CREATE INDEX instances_host ON instances (host);
CREATE INDEX instances_software ON instances (software_url);
CREATE INDEX instances_without_host ON instances (software_url) WHERE shared = 1 AND host IS NULL;

-- instance: who has it. UNIQUE, so that no instance has two; one column, so that no partition has two.
CREATE TABLE partitions (
    computer TEXT NOT NULL REFERENCES computers (reference),
    reference TEXT NOT NULL,
    position BIGINT NOT NULL,
    addresses TEXT NOT NULL,
    retired BIGINT NOT NULL DEFAULT 0,
    instance TEXT UNIQUE REFERENCES instances (reference),
    PRIMARY KEY (computer, reference)
);
CREATE INDEX partitions_free ON partitions (computer, instance, position);

-- A partition with capabilities is for requests that name one of them, and for no others.
CREATE TABLE capabilities (
    computer TEXT NOT NULL,
    partition TEXT NOT NULL,
    capability TEXT NOT NULL,
    PRIMARY KEY (computer, partition, capability),
    FOREIGN KEY (computer, partition) REFERENCES partitions (computer, reference) ON DELETE CASCADE
);

CREATE TABLE releases (
    name TEXT PRIMARY KEY NOT NULL,
    sha256 TEXT NOT NULL,
    size BIGINT NOT NULL,
    published_at BIGINT NOT NULL,
    published_by TEXT NOT NULL
);

-- The content of releases, where several masters share the database.
CREATE TABLE release_pieces (
    sha256 TEXT NOT NULL,
    position BIGINT NOT NULL,
    content BYTEA NOT NULL,
    put_at BIGINT NOT NULL,
    PRIMARY KEY (sha256, position)
);

-- What computers built, for others of their project. The content is a file, or in pieces as that of releases.
CREATE TABLE cached (
    project TEXT NOT NULL REFERENCES projects (name),
    system TEXT NOT NULL,
    name TEXT NOT NULL,
    entry TEXT NOT NULL,
    signature TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    size BIGINT NOT NULL,
    used_at BIGINT NOT NULL,
    PRIMARY KEY (project, system, name)
);
CREATE INDEX cached_sha256 ON cached (sha256);

-- A document that comes twice is one: its sender did not hear that it had arrived.
CREATE TABLE usage_reports (
    computer TEXT NOT NULL REFERENCES computers (reference),
    sha256 TEXT NOT NULL,
    reported_at BIGINT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (computer, sha256)
);

-- Who did what when; only ever added to: what an engine does to keep it so is in `store/engine.rs`.
CREATE TABLE audit (
    number BIGINT PRIMARY KEY NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL
);
CREATE INDEX audit_at ON audit (at);
