package data

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"dalaba/playlist"
	"dalaba/playlist/emergency"
)

// SaveAlerts stores the present state of alerts and what was retired with them.
// raw is the message of the first of them; nil leaves the stored message as it
// is.
func (s *Store) SaveAlerts(ctx context.Context, c emergency.Change, raw []byte) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		for i, r := range c.Records {
			text, err := json.Marshal(r)
			if err != nil {
				return err
			}
			var bytes any
			if i == 0 && raw != nil {
				bytes = raw
			}
			_, err = tx.ExecContext(ctx, `INSERT INTO alert (id, record, raw, received, state) VALUES (?, ?, ?, ?, ?)
				ON CONFLICT DO UPDATE SET record = excluded.record, raw = coalesce(excluded.raw, raw), received = excluded.received, state = excluded.state`,
				r.ID, string(text), bytes, r.Received.UnixMicro(), r.State)
			if err != nil {
				return err
			}
		}
		for name, counter := range c.Counters {
			if err := setFact(ctx, tx, factCounter+name, strconv.FormatUint(uint64(counter), 10)); err != nil {
				return err
			}
		}
		for _, id := range c.Restored {
			if _, err := tx.ExecContext(ctx, "DELETE FROM retired WHERE id = ?", id); err != nil {
				return err
			}
		}
		for _, r := range c.Retired {
			_, err := tx.ExecContext(ctx, `INSERT INTO retired (id, retired_by, reason, at) VALUES (?, ?, ?, ?)
				ON CONFLICT DO NOTHING`, r.ID, r.By, r.Reason, r.At.UnixMicro())
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// KeptAlerts returns all that is stored of alerts.
func (s *Store) KeptAlerts(ctx context.Context) (k emergency.Kept, err error) {
	if k.Records, err = s.Alerts(ctx); err != nil {
		return emergency.Kept{}, err
	}
	if k.Retired, err = s.retired(ctx); err != nil {
		return emergency.Kept{}, err
	}
	facts, err := s.factsNamed(ctx, factCounter)
	k.Counters = emergency.Counters{}
	for key, text := range facts {
		n, _ := strconv.ParseUint(text, 10, 32) // 0 if unreadable: then it is not counted
		k.Counters[strings.TrimPrefix(key, factCounter)] = uint32(n)
	}
	return k, err
}

// Alerts returns all stored alerts, the latest received first.
func (s *Store) Alerts(ctx context.Context) (records []emergency.Record, err error) {
	rows, err := s.db().Reader().QueryContext(ctx, "SELECT record FROM alert ORDER BY received DESC, id")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var (
			text []byte
			r    emergency.Record
		)
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(text, &r); err != nil {
			return nil, fmt.Errorf("alert: %w", err)
		}
		records = append(records, r)
	}
	return records, rows.Err()
}

func (s *Store) retired(ctx context.Context) (retired []emergency.Retired, err error) {
	gone, err := s.db().Reader().QueryContext(ctx, "SELECT id, retired_by, reason, at FROM retired ORDER BY at, id")
	if err != nil {
		return nil, err
	}
	defer func() { _ = gone.Close() }()
	for gone.Next() {
		var (
			r  emergency.Retired
			at sql.NullInt64
		)
		if err := gone.Scan(&r.ID, &r.By, &r.Reason, &at); err != nil {
			return nil, err
		}
		r.At = instant(at)
		retired = append(retired, r)
	}
	return retired, gone.Err()
}

// AlertRaw returns an alert's message as it was received; nil if no message was
// stored.
func (s *Store) AlertRaw(ctx context.Context, id playlist.AlertID) (raw []byte, err error) {
	err = s.db().Reader().QueryRowContext(ctx, "SELECT raw FROM alert WHERE id = ?", id).Scan(&raw)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("%w: alert %s", ErrNotFound, id)
	}
	return raw, err
}

// ForgetAlerts deletes alerts that can no longer come again.
func (s *Store) ForgetAlerts(ctx context.Context, ids []playlist.AlertID) error {
	if len(ids) == 0 {
		return nil
	}
	return s.write(ctx, func(tx *sql.Tx) error {
		for _, id := range ids {
			for _, table := range []string{"alert", "retired"} {
				if _, err := tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE id = ?", id); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
