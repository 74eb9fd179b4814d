package data

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"dalaba/playlist"
)

// The facts that outlive a restart, by the name under which the table state
// keeps them. Programs one version back read and write them too: names and
// formats stay.
const (
	factClock      = "clock"         // playlist.ClockState
	factVouched    = "clock_vouched" // boot ID, a space, RFC 3339
	factStarted    = "started"       // RFC 3339
	factFirst      = "first_started" // RFC 3339
	factConfigRead = "config"        // RFC 3339
	factEnrolled   = "enrolled"      // RFC 3339
	factSynced     = "synced"        // RFC 3339
	factLags       = "lags"          // JSON: documents that the county has and we do not
	factAutoCard   = "auto_card"     // an ALSA name
	factSlots      = "slots"         // JSON: instants by what makes a slot fall due
	factManifest   = "manifest/"     // and the scope: JSON
	factCounter    = "counter/"      // and the name of a key: its last counter, see [emergency.Counters]
	factReplaced   = "replaced/"     // and a clip's ID: that of the clip that replaced it
	factEventsSent = "events_sent"   // ID of the last event that the county has
)

// Clock returns the state of the clock as the daemon last noted it; empty if it
// never did.
func (s *Store) Clock(ctx context.Context) (playlist.ClockState, error) {
	text, err := s.fact(ctx, factClock)
	return playlist.ClockState(text), err
}

// SetClock notes the state of the clock.
func (s *Store) SetClock(ctx context.Context, c playlist.ClockState) error {
	return s.setFact(ctx, factClock, string(c))
}

// ClockVouched returns the boot of the machine in which something last vouched
// for the clock, and when by that clock the boot began. The boot is empty if
// nothing ever did.
func (s *Store) ClockVouched(ctx context.Context) (boot string, began time.Time, err error) {
	text, err := s.fact(ctx, factVouched)
	boot, at, ok := strings.Cut(text, " ")
	if err != nil || !ok {
		return "", time.Time{}, err
	}
	if began, err = time.Parse(time.RFC3339Nano, at); err != nil {
		return "", time.Time{}, nil // treat an unreadable fact as none: it is noted again
	}
	return boot, began, nil
}

// SetClockVouched notes that something vouched for the clock in this boot.
func (s *Store) SetClockVouched(ctx context.Context, boot string, began time.Time) error {
	return s.setFact(ctx, factVouched, boot+" "+began.UTC().Format(time.RFC3339Nano))
}

// Started returns when the daemon last started; zero if it never did.
func (s *Store) Started(ctx context.Context) (time.Time, error) { return s.factTime(ctx, factStarted) }

// FirstStarted returns when the daemon started for the first time; zero if it never did,
// or if that was a program that did not note it.
func (s *Store) FirstStarted(ctx context.Context) (time.Time, error) {
	return s.factTime(ctx, factFirst)
}

// SetStarted notes when the daemon started.
func (s *Store) SetStarted(ctx context.Context, at time.Time) error {
	last, err := s.Started(ctx)
	if err == nil && last.IsZero() {
		err = s.setFact(ctx, factFirst, at.UTC().Format(time.RFC3339))
	}
	if err != nil {
		return err
	}
	return s.setFact(ctx, factStarted, at.UTC().Format(time.RFC3339))
}

// ConfigRead returns when the daemon read the config that is in force; zero if
// it never did.
func (s *Store) ConfigRead(ctx context.Context) (time.Time, error) {
	return s.factTime(ctx, factConfigRead)
}

// SetConfigRead notes when the config in force was read.
func (s *Store) SetConfigRead(ctx context.Context, at time.Time) error {
	return s.setFact(ctx, factConfigRead, at.UTC().Format(time.RFC3339))
}

// Enrolled returns when the controller was last enrolled; zero if it never was.
func (s *Store) Enrolled(ctx context.Context) (time.Time, error) {
	return s.factTime(ctx, factEnrolled)
}

// enrolledAt is [Store.Enrolled] in a transaction.
func enrolledAt(ctx context.Context, tx *sql.Tx) (time.Time, error) {
	var text string
	err := tx.QueryRowContext(ctx, "SELECT value FROM state WHERE key = ?", factEnrolled).Scan(&text)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, err
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, nil
	}
	return at, nil
}

// Synced returns when the county last answered, by the county's clock; zero if
// it never did.
func (s *Store) Synced(ctx context.Context) (time.Time, error) { return s.factTime(ctx, factSynced) }

// SetSynced notes when the county answered.
func (s *Store) SetSynced(ctx context.Context, at time.Time) error {
	return s.setFact(ctx, factSynced, at.UTC().Format(time.RFC3339))
}

// Lag is a document that the county has in force for the controller and that did not
// arrive.
type Lag struct {
	Kind    string         `json:"kind"`
	Scope   playlist.Scope `json:"scope,omitempty"`
	Version int64          `json:"version"`
	Here    int64          `json:"here"`          // the version that is here; 0: none
	Why     string         `json:"why,omitempty"` // why it was refused; empty: it did not arrive
}

// Lags returns the documents that did not arrive, as of the last sync.
func (s *Store) Lags(ctx context.Context) (all []Lag, err error) {
	text, err := s.fact(ctx, factLags)
	if err != nil || text == "" {
		return nil, err
	}
	if json.Unmarshal([]byte(text), &all) != nil {
		return nil, nil // treat an unreadable fact as none: the next sync notes it again
	}
	return all, nil
}

// SetLags notes the documents that did not arrive.
func (s *Store) SetLags(ctx context.Context, all []Lag) error {
	text, err := json.Marshal(all)
	if err != nil {
		return err
	}
	return s.setFact(ctx, factLags, string(text))
}

// AutoCard returns the card that stands for the device "auto"; empty if none was
// chosen.
func (s *Store) AutoCard(ctx context.Context) (string, error) { return s.fact(ctx, factAutoCard) }

// SetAutoCard notes the card chosen for "auto"; empty forgets it.
func (s *Store) SetAutoCard(ctx context.Context, card string) error {
	return s.setFact(ctx, factAutoCard, card)
}

// SlotsSince returns when each slot came into force, by [playlist.Slot.DueKey].
func (s *Store) SlotsSince(ctx context.Context) (map[string]time.Time, error) {
	since := map[string]time.Time{}
	text, err := s.fact(ctx, factSlots)
	if err == nil && text != "" {
		err = json.Unmarshal([]byte(text), &since)
	}
	return since, err
}

// SetSlotsSince notes when each slot came into force.
func (s *Store) SetSlotsSince(ctx context.Context, since map[string]time.Time) error {
	text, err := json.Marshal(since)
	if err != nil {
		return err
	}
	return s.setFact(ctx, factSlots, string(text))
}

// Manifests returns the county's manifests in force, by scope. A document of a
// higher version may wait for its clips or its day.
func (s *Store) Manifests(ctx context.Context) (map[playlist.Scope]playlist.Manifest, error) {
	facts, err := s.factsNamed(ctx, factManifest)
	all := map[playlist.Scope]playlist.Manifest{}
	for key, text := range facts {
		if text == "" {
			continue
		}
		var m playlist.Manifest
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			return nil, err
		}
		all[playlist.Scope(strings.TrimPrefix(key, factManifest))] = m
	}
	return all, err
}

// PutManifest puts a manifest in force, in the place of the one of its scope.
func (s *Store) PutManifest(ctx context.Context, m playlist.Manifest) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return s.setFact(ctx, factManifest+string(m.Scope), string(text))
}

// DropManifest puts the manifest of a scope out of force.
func (s *Store) DropManifest(ctx context.Context, scope playlist.Scope) error {
	return s.setFact(ctx, factManifest+string(scope), "")
}

// fact returns a fact by name; empty if it was never set.
func (s *Store) fact(ctx context.Context, key string) (value string, err error) {
	err = s.db().Reader().QueryRowContext(ctx, "SELECT value FROM state WHERE key = ?", key).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return value, err
}

// factTime returns a fact that is an instant; zero if it was never set or
// cannot be read.
func (s *Store) factTime(ctx context.Context, key string) (time.Time, error) {
	text, err := s.fact(ctx, key)
	if err != nil {
		return time.Time{}, err
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, nil
	}
	return at, nil
}

// factsNamed returns the facts whose names begin with the prefix.
func (s *Store) factsNamed(ctx context.Context, prefix string) (map[string]string, error) {
	rows, err := s.db().Reader().QueryContext(ctx, "SELECT key, value FROM state WHERE substr(key, 1, length(?1)) = ?1", prefix)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	all := map[string]string{}
	for rows.Next() {
		var k, v string
		if err := rows.Scan(&k, &v); err != nil {
			return nil, err
		}
		all[k] = v
	}
	return all, rows.Err()
}

func (s *Store) setFact(ctx context.Context, key, value string) error {
	return s.write(ctx, func(tx *sql.Tx) error { return setFact(ctx, tx, key, value) })
}

func setFact(ctx context.Context, tx *sql.Tx, key, value string) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO state (key, value) VALUES (?, ?)
		ON CONFLICT DO UPDATE SET value = excluded.value`, key, value)
	return err
}
