package link

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"dalaba/playlist"
)

// check returns what is wrong with the alert, or nil if a state may hold it.
func (a AlertInForce) check() error {
	bad := func(what string, args ...any) error {
		return fmt.Errorf("%w: alert %s: %s", playlist.ErrInvalid, a.Alert.ID, fmt.Sprintf(what, args...))
	}
	switch {
	case a.Alert.ID == "":
		return bad("it has no ID")
	case a.Clip == nil && len(a.Inline) > 0:
		return bad("bytes of no clip")
	case a.Clip == nil:
		return nil
	case !playlist.IsClipID(string(a.Clip.ID)):
		return bad("%q is no clip ID", a.Clip.ID)
	case a.Clip.Frames < 1 || a.Clip.Size < 1:
		return bad("clip %s has no frames or no bytes", a.Clip.ID.Short())
	}
	if h := sha256.Sum256(a.Inline); len(a.Inline) > MaxInline || len(a.Inline) > 0 && hex.EncodeToString(h[:]) != string(a.Clip.ID) {
		return bad("the bytes inside are too many, or not those of clip %s", a.Clip.ID.Short())
	}
	return nil
}

// Mended returns the alert without what is wrong with its clip, and what that is:
// it still sounds by its text. ok is false if nothing is left that a state may
// hold.
func (a AlertInForce) Mended() (b AlertInForce, wrong error, ok bool) {
	if wrong = a.check(); wrong == nil {
		return a, nil, true
	}
	b = a
	b.Inline = nil // the clip can be fetched
	if b.check() != nil {
		b.Clip, b.Order = nil, false // no clip is to come
	}
	return b, wrong, b.check() == nil
}

// Weight is how much of the room in an envelope an alert takes, or what there is.
type Weight struct {
	Text   int // bytes of JSON
	Packed int // compressed
}

// Room returns the room for alerts in an envelope. What is in one with others
// takes no more room than alone, but for a few bytes, which are not counted here.
func Room() Weight { return Weight{MaxPayload - 64<<10, (MaxEnvelope - 16<<10) / 4 * 3} }

// Weigh returns the room that the alert takes. It is an error if it cannot be
// written.
func (a AlertInForce) Weigh() (Weight, error) {
	text, err := json.Marshal(a)
	if err != nil {
		return Weight{}, err
	}
	return Weight{len(text) + 1, len(pack(text))}, nil
}

// Fits reports whether something of that weight has room in other.
func (w Weight) Fits(other Weight) bool { return w.Text <= other.Text && w.Packed <= other.Packed }

// Less returns the room that is left without that of other.
func (w Weight) Less(other Weight) Weight {
	return Weight{w.Text - other.Text, w.Packed - other.Packed}
}

// Plus returns the room of both.
func (w Weight) Plus(other Weight) Weight {
	return Weight{w.Text + other.Text, w.Packed + other.Packed}
}

// decodeAlerts unpacks a document of alerts. An unknown field of a later county is
// no reason to refuse an emergency, nor is one alert that cannot be read, or is of
// no use, a reason to refuse the others. If all are, the document is refused.
func (d *Document) decodeAlerts(e Envelope) error {
	d.Alerts = &AlertsState{}
	var s struct {
		Scope   playlist.Scope    `json:"scope"`
		Version int64             `json:"version"`
		Issued  time.Time         `json:"issued"`
		Alerts  []json.RawMessage `json:"alerts"`
	}
	if err := e.openLenient(&s); err != nil {
		return err
	}
	d.Alerts.Scope, d.Alerts.Version, d.Alerts.Issued = s.Scope, s.Version, s.Issued
	seen := map[playlist.AlertID]bool{}
	for i, raw := range s.Alerts {
		read, err := decodeAlert(raw)
		a, wrong, ok := read.Mended()
		if ok && seen[a.Alert.ID] {
			ok, wrong = false, fmt.Errorf("%w: alert %s stands there twice", playlist.ErrInvalid, a.Alert.ID)
		}
		if err = errors.Join(err, wrong); err != nil {
			d.Faults = append(d.Faults, fmt.Errorf("alert %d of %d: %w", i+1, len(s.Alerts), err))
		}
		if ok {
			seen[a.Alert.ID] = true
			d.Alerts.Alerts = append(d.Alerts.Alerts, a)
		}
	}
	if len(s.Alerts) > 0 && len(d.Alerts.Alerts) == 0 { // then it is no word that all is over
		return errors.Join(d.Faults...)
	}
	d.keepForemost()
	return d.Alerts.checkSelf()
}

// keepForemost leaves no more alerts and no more bytes of clips than a state may
// hold.
func (d *Document) keepForemost() {
	all := d.Alerts.Alerts
	if len(all) > MaxAlerts {
		foremost := slices.SortedStableFunc(slices.Values(all), func(a, b AlertInForce) int {
			return a.Alert.Precedence(0, a.Received).Compare(b.Alert.Precedence(0, b.Received))
		})
		for _, a := range foremost[MaxAlerts:] {
			d.Unread = append(d.Unread, a.Alert.ID)
		}
		d.Faults = append(d.Faults, fmt.Errorf("%w: %d alerts, of which only the first %d by rank count", playlist.ErrInvalid, len(all), MaxAlerts))
		all = slices.DeleteFunc(all, func(a AlertInForce) bool { return slices.Contains(d.Unread, a.Alert.ID) })
		d.Alerts.Alerts = all
	}
	inline := 0
	for i := range all {
		if inline += len(all[i].Inline); inline > MaxInlineTotal {
			inline -= len(all[i].Inline)
			all[i].Inline = nil // the clip can be fetched
		}
	}
}

// decodeAlert reads one alert of a document. If it cannot be read as a whole, it
// returns what can be read of it, with the error.
func decodeAlert(raw []byte) (AlertInForce, error) {
	var a AlertInForce
	err := decodeLenient(raw, &a)
	if err == nil {
		return a, nil
	}
	a = AlertInForce{}
	var parts map[string]json.RawMessage
	if json.Unmarshal(raw, &parts) != nil {
		return a, err
	}
	decodeFields(parts["alert"], &a.Alert)
	delete(parts, "alert")
	rest, _ := json.Marshal(parts) // what was read can be written
	decodeFields(rest, &a)
	return a, err
}

// decodeFields reads the fields of an object into v one by one: one that cannot be
// read costs no other.
func decodeFields(raw []byte, v any) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		one, err := json.Marshal(map[string]json.RawMessage{name: fields[name]})
		if err == nil {
			_ = json.Unmarshal(one, v) // as far as it can be read
		}
	}
}
