#!/usr/bin/env bash
# How members govern a network: the whole story, by commands.
#
#   bash examples/governance/story.sh
#
# needs `synod` in PATH, openssl and POSIX tools, starts a network of its own (synod sandbox), and ends with status 0.
# Against a sandbox of yours that was not governed before, set SYNOD_NODES and SYNOD_DIR, as synod sandbox --exec does; its
# nodes may be removed. Each decision is printed with its transaction id, and all of them once more at the end.
# docs/src/guides/governance.md tells the same with explanations.
set -euo pipefail

if [ -z "${SYNOD_NODES:-}" ]; then
    export STORY="$0"
    exec synod sandbox --members 3 --exec 'bash "$STORY"'
fi

work=$(mktemp -d)
# Who wants to look at the decisions and at the last constitution names a directory for them.
results=${STORY_RESULTS:-$work}
joined=
finish() {
    [ -z "$joined" ] || kill "$joined" 2>/dev/null || true
    [ -z "$joined" ] || wait "$joined" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT
SYNOD_DIR=$(cd "$SYNOD_DIR" && pwd)
SYNOD_NODES=$SYNOD_DIR/network.json
export SYNOD_DIR SYNOD_NODES
cd "$work"

# Who speaks. The first three are the sandbox's, the others are made below.
one=$SYNOD_DIR/members/member-1
two=$SYNOD_DIR/members/member-2
three=$SYNOD_DIR/members/member-3
participant=$SYNOD_DIR/participants/participant-1
delta=delta-desk

chapter() { printf '\n== %s\n' "$*"; }

fail() {
    printf 'the story went wrong: %s\n' "$*" >&2
    exit 1
}

# Prints a command as one would type it.
shown() {
    local word line
    line="$(basename "$1")\$ synod"
    for word in "${@:2}"; do
        case $word in
        *[[:space:]]*) line+=" '$word'" ;;
        *) line+=" $word" ;;
        esac
    done
    printf '%s\n' "$line"
}

# as WHO ARGUMENTS..: runs synod as somebody, and shows the command and what it printed.
as() {
    local who=$1
    shift
    shown "$who" "$@"
    output=$(SYNOD_IDENTITY=$who synod "$@" 2>said) || {
        cat said >&2
        fail "synod $* as $(basename "$who")"
    }
    [ -z "$output" ] || printf '%s\n' "$output"
}

# refused CODE WHO ARGUMENTS..: the same for what has to be refused with this code.
refused() {
    local code=$1 who=$2
    shift 2
    shown "$who" "$@"
    if SYNOD_IDENTITY=$who synod "$@" >printed 2>said; then
        fail "this was to be refused: synod $* as $(basename "$who")"
    fi
    grep -v '^proposal \|^digest \|^note \|^action \|^expires ' said || true
    grep -q "($code)" said || fail "this was to be refused with $code"
}

# What `proposal ID STATUS at TXID` said last.
read_output() {
    local word at
    read -r word id status at txid <<<"$output"
    [ "$word $at" = "proposal at" ] || fail "not understood: $output"
    if [ "$status" != open ]; then
        printf '%s\tproposal %s %s\t%s\n' "$txid" "$id" "$status" "$title" >>"$results/decisions"
    fi
}

# propose WHO TITLE [OPTION..] < actions: submits what standard input holds.
propose() {
    local who=$1
    title=$2
    shift 2
    cat >proposed.toml
    sed 's/^/    /' proposed.toml
    as "$who" proposal submit proposed.toml --note "$title" "$@"
    read_output
}

# votes STATUS WHO..: each accepts, until the proposal stands so.
votes() {
    local wanted=$1 who
    shift
    for who in "$@"; do
        [ "$status" = open ] || fail "proposal $id is $status before $(basename "$who") voted"
        as "$who" ballot submit "$id" accept
        read_output
    done
    [ "$status" = "$wanted" ] || fail "proposal $id is $status, not $wanted"
}

# A port that nobody listens at, below those that outgoing connections get.
free_port() {
    local port
    while port=$((10000 + RANDOM % 20000)); do
        (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    printf '%s' "$port"
}

# What a node says it is.
role_of() { synod node status 2>/dev/null | awk -v id="$1" '$1 == id { print $2 }'; }

# The leader of the highest view that a node tells of.
leader() { synod node status 2>/dev/null | awk '$2 == "leader" && $3 > view { view = $3; id = $1 } END { print id }'; }

# A command's output, once it matches the pattern; a minute is enough on a slow machine.
until_matches() {
    local pattern=$1 try
    shift
    for try in $(seq 300); do
        found=$("$@")
        [[ $found =~ ^($pattern)$ ]] && return 0
        sleep 0.2
    done
    fail "$* says '$found' after $try tries; $(tail -5 "$SYNOD_DIR/node-4/log")"
}

# A node that leads and is not NODE.
leader_but() { leader | grep -vx "$1" || true; }

names() { SYNOD_IDENTITY=$1 synod constitution show | awk '/^\[\[(member|participant)/ { getline; print "  " $0 }'; }

chapter 'Three members govern; a participant transacts'
as "$one" identity show "$one"
names "$one"
as "$one" proposal list

chapter 'A fourth member: an organisation with an authority of its own'
as "$one" identity new --name 'Delta CA' --ca --out delta-ca
as "$one" identity new --name 'Delta desk' --issuer delta-ca --out "$delta"
cat >proposal.toml <<TOML
[[action]]
action = "add_member"
name = "Delta"
certificate_file = "delta-ca.crt"
TOML
printf 'what it would change:\n'
as "$one" proposal submit proposal.toml --dry-run
propose "$one" 'add Delta' <proposal.toml
refused NotAMember "$participant" ballot submit "$id" accept
votes open "$one"
refused AlreadyVoted "$one" ballot submit "$id" accept
votes accepted "$two"
refused ProposalClosed "$three" ballot submit "$id" reject
printf 'what everybody was told of it:\n'
as "$three" gov watch --after 0 --once 5
names "$delta"

chapter 'From a majority to three of four: decided by a majority, the policy in force'
propose "$delta" 'three of four decide' <<TOML
[[action]]
action = "set_policy"
value = { m_of_n = 3 }
TOML
votes accepted "$delta" "$one" "$two"

chapter 'Remove a member; its node goes to Delta in the same proposal'
cat >proposal.toml <<TOML
[[action]]
action = "remove_member"
id = "member-3"
TOML
refused Actions "$one" proposal submit proposal.toml
propose "$one" 'member-3 leaves' <<TOML
[[action]]
action = "replace_node"
node = 3
owner = "Delta"

[[action]]
action = "remove_member"
id = "member-3"
TOML
votes accepted "$one" "$two" "$delta"
refused NotAuthorized "$three" proposal list

chapter 'Of three members three are unanimity: back to a majority, decided by all three'
propose "$two" 'a majority decides again' <<TOML
[[action]]
action = "set_policy"
TOML
votes accepted "$one" "$two" "$delta"

chapter 'The founder is voted out: it has no privilege, and no say in the matter'
propose "$two" 'the founder leaves' <<TOML
[[action]]
action = "replace_node"
node = 1
owner = "member-2"

[[action]]
action = "remove_member"
id = "member-1"
TOML
votes accepted "$two" "$delta"
refused NotAuthorized "$one" proposal list

chapter 'One organisation with both identities: Echo governs with one key and transacts with another'
as "$two" identity new --name 'Echo' --out echo
as "$two" identity new --name 'Echo trading' --out echo-trading
propose "$two" 'add Echo, twice' <<TOML
[[action]]
action = "add_member"
name = "Echo"
certificate_file = "echo.crt"

[[action]]
action = "add_participant"
name = "Echo trading"
certificate_file = "echo-trading.crt"
TOML
votes accepted "$two" "$delta"
refused MayNotPropose echo-trading proposal submit proposed.toml

chapter 'Approve new code'
measurement=$(printf '%064d' 17)
propose echo 'release 1.2 may run' <<TOML
[[action]]
action = "approve_code"
measurement = "$measurement"
framework = "1.2"
adapter = "log"
adapter_version = "0.4"
source_commit = "0123456789abcdef0123456789abcdef01234567"
TOML
votes accepted echo "$delta"

chapter 'Unanimous for new members, one of n to forbid code'
propose echo 'new members by all, emergencies by one' <<TOML
[[action]]
action = "set_policy"
kind = "add_member"
value = "unanimous"

[[action]]
action = "set_policy"
kind = "deny_code"
value = "one_of_n"
TOML
votes accepted echo "$two"
propose "$delta" 'release 1.2 is broken' <<TOML
[[action]]
action = "deny_code"
measurement = "$measurement"
TOML
votes accepted "$delta"

chapter 'Delta renews its leaf: no vote is needed'
as "$delta" identity new --name 'Delta desk, renewed' --issuer delta-ca --out delta-desk-2
delta=delta-desk-2

chapter 'Rejected: one No is enough where all have to agree'
as "$two" identity new --name 'Foxtrot' --out foxtrot
propose "$two" 'add Foxtrot' <<TOML
[[action]]
action = "add_member"
name = "Foxtrot"
certificate_file = "foxtrot.crt"
TOML
as "$two" ballot submit "$id" accept
as echo ballot submit "$id" reject
read_output
[ "$status" = rejected ] || fail "proposal $id is $status"

chapter 'Withdrawn: the proposer thinks again'
propose echo 'proposals stay open for a week' <<TOML
[[action]]
action = "set_proposal_expiry"
seconds = 604800
TOML
refused NotTheProposer "$two" proposal withdraw "$id"
as echo proposal withdraw "$id"
read_output
[ "$status" = withdrawn ] || fail "proposal $id is $status"

chapter 'A ballot signed elsewhere, as by an HSM'
propose echo 'proposals stay open for a month' <<TOML
[[action]]
action = "set_proposal_expiry"
seconds = 2592000
TOML
votes open echo
as "$two" ballot prepare "$id" accept --out vote.tbs
openssl dgst -sha256 -sign "$two.key" -out vote.sig vote.tbs
as "$two" ballot submit --prepared vote.json --signature vote.sig
read_output
[ "$status" = accepted ] || fail "proposal $id is $status"

chapter 'Expired: nobody decided in time'
propose echo 'blocks of two calls' --expires 3s <<TOML
[[action]]
action = "set_blocks"
value = { block_calls_max = 2, block_delay_us = 2000, blocks_uncommitted_max = 8 }
TOML
expiring=$id
sleep 3.1
refused ProposalClosed "$two" ballot submit "$expiring" accept

chapter 'An automatic vote: actors may add one node each'
propose echo 'standing rules may accept nodes of actors' <<TOML
[[action]]
action = "set_auto_vote"
kind = "add_node"
value = { require = ["owner_is_actor", { actor_nodes_fewer_than = 2 }] }
TOML
as echo proposal show "$expiring"
case $output in
*'decision   expired at '*) ;;
*) fail "proposal $expiring did not expire" ;;
esac
printf '%s\tproposal %s expired\t%s\n' "${output##*expired at }" "$expiring" 'blocks of two calls' >>"$results/decisions"
votes accepted echo "$delta"
cat >rule.toml <<TOML
kinds = ["add_node"]
[condition]
is = "owner_is_actor"
TOML
refused Rule "$two" rule set rule.toml
cat >rule.toml <<TOML
kinds = ["add_node"]
[condition]
all_of = [{ is = "owner_is_actor" }, { is = { actor_nodes_fewer_than = 1 } }]
TOML
sed 's/^/    /' rule.toml
as "$two" rule set rule.toml
as "$delta" rule set rule.toml
as "$delta" rule list

chapter "A participant's node, accepted automatically"
as "$participant" node join --dir "$SYNOD_DIR/node-4" --like "$SYNOD_DIR/node-1" --id 4 --name node-of-participant-1 \
    --owner "$participant.crt" --address node-4.sandbox.invalid:7000 --client-address "127.0.0.1:$(free_port)" \
    --peer-address "127.0.0.1:$(free_port)" --add-to "$SYNOD_NODES"
printf '%s\n' "$output" >add-node.toml
synod node run --dir "$SYNOD_DIR/node-4" >"$SYNOD_DIR/node-4/log" 2>&1 &
joined=$!
propose "$participant" "participant-1 runs a node" <add-node.toml
[ "$status" = accepted ] || fail "proposal $id is $status"
as "$delta" proposal show "$id"

chapter 'One node more than the rules cover waits for votes by hand'
as "$participant" node join --dir node-5 --like "$SYNOD_DIR/node-1" --id 5 --name second-node \
    --owner "$participant.crt" --address node-5.sandbox.invalid:7000 --client-address 127.0.0.1:1 --peer-address 127.0.0.1:2
printf '%s\n' "$output" >second.toml
propose "$participant" 'participant-1 runs a second node' <second.toml
[ "$status" = open ] || fail "proposal $id is $status"
as "$participant" proposal withdraw "$id"
read_output

chapter "The participant's node becomes the leader"
until_matches 'follower|leader' role_of 4
until_matches '[1-4]' leader
while [ "$found" != 4 ]; do
    gone=$found
    printf 'node %s leads; members remove it\n' "$gone"
    propose "$two" "node $gone leaves" <<TOML
[[action]]
action = "remove_node"
node = $gone
TOML
    votes accepted "$two" "$delta"
    until_matches '[1-4]' leader_but "$gone"
done
printf 'participant-1$ synod node status\n'
synod node status || true
as "$participant" log put --key 7 --message 'ordered by the node of a participant'

chapter 'An auditor reads it all again, from the files of one node'
SYNOD_IDENTITY=$two synod constitution show >"$results/constitution.toml"
printf 'auditor$ synod ledger audit node-4 --key auditor/admin.key\n'
synod ledger audit "$SYNOD_DIR/node-4" --key "$SYNOD_DIR/auditor/admin.key" | tail -3

chapter 'Another network, of members only'
cat >members-only.sh <<'SH'
set -eu
export SYNOD_IDENTITY=$SYNOD_DIR/members/member-1
test ! -e "$SYNOD_DIR/participants"
synod log put --key 1 --message 'members transact too'
printf '[[action]]\naction = "set_proposal_expiry"\nseconds = 86400\n' >"$SYNOD_DIR/proposal.toml"
synod proposal submit "$SYNOD_DIR/proposal.toml" --note 'proposals stay open for a day'
synod ballot submit 1 accept 2>/dev/null
SYNOD_IDENTITY=$SYNOD_DIR/members/member-2 synod ballot submit 1 accept 2>/dev/null
SH
unset SYNOD_IDENTITY
output=$(env -u SYNOD_NODES -u SYNOD_DIR synod sandbox --nodes 1 --members 3 --participants 0 --exec 'sh members-only.sh')
printf '%s\n' "$output"
output=${output##*$'\n'} title='another network: proposals stay open for a day'
read_output
[ "$status" = accepted ] || fail "proposal $id is $status"

chapter 'Every decision, with its transaction'
column -t -s "$(printf '\t')" "$results/decisions" 2>/dev/null || cat "$results/decisions"
