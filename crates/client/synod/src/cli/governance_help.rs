//! The longer help texts on governance.

/// What a proposal's file looks like.
pub(super) const PROPOSAL_FILE: &str = "\
The file lists actions; they take effect together, in this order, or not at all:

  note = \"why, for the other members\"

  [[action]]
  action = \"add_member\"
  name = \"Delta\"
  certificate_file = \"delta.crt\"   # relative to this file; or certificate = '''PEM'''

  [[action]]
  action = \"set_policy\"
  kind = \"add_member\"              # without kind: the default policy
  value = { m_of_n = 3 }           # without value: back to the default

Policies:
  \"majority\", \"unanimous\", \"one_of_n\", { m_of_n = N }, { fraction = { num = 2, den = 3 } },
  { required = [\"Alpha\"] }, { all_of = [..] }, { any_of = [..] },
  { at_least = { k = 2, of = [..] } }

Other actions, with their keys:
  remove_member        id
  replace_member       id, certificate, name, pins
  add_participant, remove_participant, replace_participant: as for members
  add_node             as `synod node join` prints it
  replace_node         node, name, owner, public_key, address, code, platform
  remove_node          node
  approve_code         measurement, framework, adapter, adapter_version, source_commit
  deny_code, forget_code: measurement
  set_proposers        kind, value: \"members\" or \"actors\"
  set_auto_vote        kind, value: { require = [PREDICATE, ..] }, see `synod rule set --help`
  set_proposal_expiry, set_lease: seconds
  set_blocks, set_epochs, set_quorums, set_durability: value
  set_adapter          name, and settings or settings_file: the whole document, as
                       `synod constitution show` prints the one in force
  set_tee_rule, set_release_rule, grant_auditor, revoke_auditor, rotate_service_identity

Wherever an actor's id stands (id, owner, required, proposer_is), its name will do.";

/// How a key in an HSM signs.
pub(super) const HSM: &str = "\
The HSM signs the bytes of OUT as the algorithm of its key wants it: ECDSA with SHA-256 on P-256, with SHA-384 on \
P-384, or Ed25519. Both forms of an ECDSA signature are taken, DER and r || s. With a key in a file:

  synod ballot prepare 7 accept --out vote.tbs
  openssl dgst -sha256 -sign member-1.key -out vote.sig vote.tbs
  synod ballot submit --prepared vote.json --signature vote.sig

Whose key signs is said with --signer CERTIFICATE; it may be another leaf of the actor than the one that connects.";

/// What a standing rule's file looks like.
pub(super) const RULE_FILE: &str = "\
The constitution says which kinds of actions rules may accept, and what each rule has to demand at least \
(auto_votes). A rule names kinds and a condition, which has to hold of every action of a proposal:

  kinds = [\"add_node\"]
  [condition]
  all_of = [{ is = \"owner_is_actor\" }, { is = { actor_nodes_fewer_than = 3 } }]

Conditions:
  { is = PREDICATE }, { all_of = [..] }, { any_of = [..] }, { at_least = { k = 2, of = [..] } }
Predicates:
  { proposer_is = [NAME, ..] }, \"proposer_is_member\", \"owner_is_proposer\", \"owner_is_actor\",
  { actor_nodes_fewer_than = N }, \"code_is_approved\", \"tee_is_allowed\", { kind_is = [..] },
  { name_ends_with = TEXT }, { host_within = DOMAIN }";

/// How identities are made.
pub(super) const IDENTITY_EXAMPLES: &str = "\
Examples:
  synod identity new --name Delta --out delta                one key, one certificate
  synod identity new --name 'Delta CA' --ca --out delta-ca   an authority: propose this one
  synod identity new --name 'Delta desk 1' --issuer delta-ca --out desk-1
  synod proposal list --identity desk-1";

/// A founding document.
pub(super) const FOUNDING: &str = "\
A constitution to begin with:
  [network]
  name = \"harbours\"
  [[member]]
  name = \"north\"
  certificate_file = \"north.crt\"   # or certificate = PEM; the path is relative to FILE
  [policies]
  default = { majority = {} }
  [[adapter]]
  name = \"log\"
  settings = \"\"
Everything else is optional and has the default that `synod constitution show` names in its comments. Nodes are listed
without public_key, which is made with the network, or not at all.
To begin: synod sandbox --constitution FILE --identity PATH";
