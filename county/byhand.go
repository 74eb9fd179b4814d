package county

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"dalaba/county/store"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
)

// ByHand is an alert that an operator writes.
type ByHand struct {
	Text      string           `json:"text"`
	Title     string           `json:"title,omitempty"`
	Event     string           `json:"event,omitempty"`
	Class     emergency.Class  `json:"class,omitempty"` // default emergency
	Level     emergency.Level  `json:"level"`
	Scopes    []playlist.Scope `json:"scopes"`
	Passes    int              `json:"passes,omitempty"`
	Life      time.Duration    `json:"life,omitempty"` // default the county's
	Audio     []byte           `json:"audio,omitempty"`
	AudioName string           `json:"audio_name,omitempty"`
	By        string           `json:"by,omitempty"`
}

// Bounds of an alert by hand.
const (
	longestLife = 7 * 24 * time.Hour
	mostPasses  = 1000
)

// check reports what is wrong with the alert, whatever its scopes.
func (h ByHand) check() error {
	switch {
	case strings.TrimSpace(h.Text) == "" && len(h.Audio) == 0:
		return invalid("county.alert_empty")
	case h.Level < emergency.Red || h.Level > emergency.Blue:
		return invalid("county.alert_level", int(h.Level))
	case h.Life < 0 || h.Life > longestLife || h.Passes < 0 || h.Passes > mostPasses:
		return invalid("county.alert_bounds")
	case len(h.Scopes) == 0:
		return invalid("county.alert_nobody")
	}
	return nil
}

// areas lists the areas that the alert is for; none if it is for groups or
// controllers. It may not be for both.
func (h ByHand) areas(b base) (all []playlist.Area, err error) {
	for _, s := range h.Scopes {
		if _, err := playlist.ParseScope(string(s)); err != nil {
			return nil, err
		}
		if area, ok := s.Area(); ok {
			if !area.Within(b.area) {
				return nil, invalid("county.not_ours", string(area), string(b.area))
			}
			all = append(all, area)
		}
	}
	if len(all) > 0 && len(all) < len(h.Scopes) {
		return nil, invalid("county.alert_mixed")
	}
	return all, nil
}

func (h ByHand) sound() []emergency.Audio {
	if len(h.Audio) == 0 {
		return nil
	}
	return []emergency.Audio{{Name: h.AudioName, Size: int64(len(h.Audio)), Data: h.Audio}}
}

// message makes a message of an alert by hand.
func (a *alerts) message(h ByHand) (incoming, error) {
	h.Class = cmp.Or(h.Class, emergency.ClassEmergency)
	if err := h.check(); err != nil {
		return incoming{}, err
	}
	areas, err := h.areas(a.base)
	if err != nil {
		return incoming{}, err
	}
	now := a.now()
	var serial [6]byte
	_, _ = rand.Read(serial[:]) // it never fails
	msg := emergency.Alert{
		ID: playlist.AlertID(fmt.Sprintf("hand-%s-%s", now.Format("20060102T150405Z"), hex.EncodeToString(serial[:]))), Format: "hand",
		Sender: a.name, SenderName: cmp.Or(h.By, a.name), Sent: now, Kind: emergency.KindRequest, Class: h.Class, Level: h.Level, Event: h.Event,
		NotBefore: now, NotAfter: now.Add(cmp.Or(h.Life, a.rules.life())), Passes: h.Passes, Areas: areas, Audio: h.sound(),
		Signature: emergency.Signature{State: emergency.SignatureAbsent},
	}
	if strings.TrimSpace(h.Title+h.Text) != "" {
		msg.Texts = []emergency.Text{{Language: "zh-CN", Title: h.Title, Text: h.Text}}
	}
	in := incoming{Source: FromHand, Detail: store.AlertDetail{Scopes: h.Scopes}}
	in.Alert, in.Cuts = msg.Bounded()
	in.Raw, err = json.Marshal(h)
	return in, err
}

// takeByHand sounds an alert that an operator wrote, or only tells whom it would
// reach if dry is set.
func (a *alerts) takeByHand(ctx context.Context, h ByHand, dry bool) (Verdict, error) {
	in, err := a.message(h)
	if err != nil {
		return Verdict{}, err
	}
	return a.takeOrWeigh(ctx, in, dry)
}

// cancelByHand ends an alert.
func (a *alerts) cancelByHand(ctx context.Context, id playlist.AlertID) (Verdict, error) {
	ctx = context.WithoutCancel(ctx)
	old, err := a.store.Alert(ctx, id)
	if err != nil {
		return Verdict{}, noAlert(err, id)
	}
	now := a.now()
	cancel := emergency.Alert{
		ID: playlist.AlertID(fmt.Sprintf("hand-%s-cancel-%s", now.Format("20060102T150405.000000Z"), old.ID)), Format: "hand", Sender: a.name, Sent: now,
		Kind: emergency.KindCancel, Class: old.Class, Level: old.Level, Areas: old.Areas, Refs: []playlist.AlertID{id},
		Signature: emergency.Signature{State: emergency.SignatureAbsent},
	}
	return a.take(ctx, incoming{Alert: cancel, Source: FromHand})
}

// noAlert puts into words that there is no such alert.
func noAlert(err error, id playlist.AlertID) error {
	return missing(err, "county.no_alert", string(id))
}
