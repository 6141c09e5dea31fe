#!/bin/sh
# The namespace and the search attributes that Changeover's runs need. Safe to run again. Connection: TEMPORAL_ADDRESS.
set -eu

namespace=${TEMPORAL_NAMESPACE:-default}

temporal operator namespace describe --namespace "$namespace" >/dev/null 2>&1 ||
  temporal operator namespace create --namespace "$namespace" --retention 30d

add_attributes() {
  # The server answers with success where one exists already with that type.
  temporal operator search-attribute create --namespace "$namespace" \
    --name ChangeoverService --type Keyword \
    --name ChangeoverPhase --type Keyword \
    --name ChangeoverCandidates --type KeywordList \
    --name ChangeoverOutcome --type Keyword
}

# Parts of the server learn of a new namespace only when they refresh what they know, within ten seconds or so.
attempts=30
until add_attributes; do
  attempts=$((attempts - 1))
  [ "$attempts" -gt 0 ] || exit 1
  sleep 1
done
