package main

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/controller"
	"dalaba/controller/control"
	"dalaba/controller/site"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
	"dalaba/web"
)

// alertCmd hands an emergency message in by hand, looks at one, or lists those
// that came.
func (a *app) alertCmd() *cobra.Command {
	var check bool
	var cancel string
	c := a.JSONFlag(&cobra.Command{
		Use:   a.Say("alerts.use"),
		Short: a.Say("alerts.short"),
		Long:  a.Say("alerts.long"),
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) > 1:
				return cli.Refuse(say.M("alerts.one_file"))
			case cancel != "" && (len(args) > 0 || check), check && len(args) == 0:
				return cli.Refuse(say.M("alerts.bad_mix"))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case cancel != "":
				return a.alertCancel(c.Context(), cancel)
			case len(args) == 0:
				return a.alertList(c.Context())
			}
			return a.alertFile(c.Context(), args[0], check)
		},
	})
	c.Flags().BoolVar(&check, "check", false, a.Say("alerts.flag_check"))
	c.Flags().StringVar(&cancel, "cancel", "", a.Say("alerts.flag_cancel"))
	return c
}

func (a *app) alertFile(ctx context.Context, path string, check bool) (err error) {
	s, err := a.look(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	path, err = filepath.Abs(path)
	if err != nil {
		return err
	}
	raw, err := controller.ReadMessage(path)
	if err != nil {
		return cli.Refuse(say.M("alerts.unreadable", path, err))
	}
	m, err := controller.ReadAlert(raw, s.Alert)
	if err != nil {
		return cli.Refuse(err)
	}
	var v site.Alert
	if check {
		r := controller.RecordOf(m, playlist.AlertByHand)
		r.Received, r.Clock = time.Now().UTC(), playlist.ClockTrusted
		book, err := s.AlertBook(ctx)
		if err != nil {
			return err
		}
		book.Receive(r, &s.Programme)
		_, known := book.Record(r.ID)
		got, _ := book.Record(r.ID)
		v = s.AlertOf(got)
		v.Known = known && !got.Received.Equal(r.Received)
	} else {
		daemon, err := control.Ask(ctx, s.Site.DataDir, a.Language())
		if err != nil {
			return err
		}
		got, err := daemon.TakeAlert(ctx, raw)
		if err != nil {
			return err
		}
		v = s.AlertOf(got.Record)
		v.Known, v.NotKept = got.Known, got.NotKept
	}
	v.Document, v.Verdict = m.Kind, m.Verdict
	for _, w := range m.Warnings {
		v.Warnings = append(v.Warnings, w.In(a.Language()))
	}
	if a.JSON {
		err = json.NewEncoder(a.Out).Encode(v)
	} else {
		a.alertShow(s, v, check)
	}
	if err == nil && v.State == emergency.StateRefused {
		return cli.ErrTold
	}
	return err
}

// alertCancel retires an alert by hand.
func (a *app) alertCancel(ctx context.Context, id string) (err error) {
	s, err := a.lookStore(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	records, _, err := s.Store.Alerts(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(records, func(r emergency.Record) bool {
		return string(r.ID) == id || r.Identifier == id && !r.State.Over()
	})
	if i < 0 {
		return cli.Refuse(say.M("alerts.no_such", id))
	}
	if records[i].State.Over() {
		return cli.Refuse(say.M("alerts.over", id, say.M("alerts.state_"+string(records[i].State))))
	}
	daemon, err := control.Ask(ctx, s.Site.DataDir, a.Language())
	if err != nil {
		return err
	}
	if _, err := daemon.CancelAlert(ctx, records[i].ID); err != nil {
		return err
	}
	if a.JSON {
		return json.NewEncoder(a.Out).Encode(map[string]any{"cancelled": records[i].ID})
	}
	a.Println(a.Say("alerts.cancelled", id))
	return nil
}

// alertList lists the alerts that came.
func (a *app) alertList(ctx context.Context) (err error) {
	s, err := a.lookStore(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	records, _, err := s.Store.Alerts(ctx)
	if err != nil {
		return err
	}
	if a.JSON {
		views := []site.Alert{}
		for _, r := range records {
			views = append(views, s.AlertOf(r))
		}
		return json.NewEncoder(a.Out).Encode(views)
	}
	if len(records) == 0 {
		a.Println(a.Say("alerts.none"))
		return nil
	}
	t := a.NewTable(a.Say("alerts.received"), a.Say("alerts.state"), a.Say("alerts.kind"), a.Say("alerts.title"), a.Say("alerts.id"))
	for _, r := range records {
		t.Add(web.Stamp(r.Received, time.Now(), s.Site.Zone), cli.Tint(a.alertState(r, s.Site.Zone), alertTone(r.State)),
			a.alertKind(r), r.Headline(), r.ID)
	}
	a.Println(strings.TrimRight(t.Page(), "\n"))
	return nil
}

func alertTone(s emergency.State) cli.Tone {
	switch s {
	case emergency.StateWaiting, emergency.StateAiring, emergency.StateDone:
		return cli.Good
	case emergency.StatePartial:
		return cli.Warn
	case emergency.StateFailed, emergency.StateRefused:
		return cli.Bad
	}
	return cli.Faint
}

// alertState is the state with its reason, for people.
func (a *app) alertState(r emergency.Record, zone *time.Location) string {
	text := a.Say("alerts.state_" + string(r.State))
	if r.State == emergency.StateWaiting && r.Early(time.Now()) {
		text += " · " + a.Say("alerts.from", web.Stamp(r.NotBefore, time.Now(), zone))
	}
	if r.Reason != "" {
		text += " · " + a.Say("alerts.reason_"+string(r.Reason))
	}
	return text
}

// alertKind is what a message is, for people: its class, with the level of an
// emergency.
func (a *app) alertKind(r emergency.Record) string {
	text := a.Say("alerts.class_" + string(r.Class))
	if r.Class == emergency.ClassEmergency && r.Level >= emergency.Red && r.Level <= emergency.Blue {
		text += " · " + a.Say("alerts.level_"+strconv.Itoa(int(r.Level)))
	}
	if r.Kind != emergency.KindRequest {
		text = a.Say("alerts.kind_"+string(r.Kind)) + " · " + text
	}
	return text
}

// alertShow tells of one message, line by line.
func (a *app) alertShow(s *site.Site, v site.Alert, check bool) {
	line := func(key, text string) {
		if text != "" {
			a.Println("  " + cli.Columns.FillRight(a.Say("alerts."+key), 10) + cli.Printable(text))
		}
	}
	stamp := func(t time.Time) string { return web.Stamp(t, time.Now(), s.Site.Zone) }
	a.Println(v.Headline())
	line("id", string(v.ID))
	line("format", v.Format)
	line("kind", a.alertKind(v.Record))
	line("sender", strings.TrimSpace(v.SenderName+" "+v.Sender))
	line("event", strings.TrimSpace(v.Event+" "+v.EventCode))
	line("sent", stamp(v.Sent))
	line("expires", stamp(v.Expires))
	var areas []string
	for _, x := range v.Areas {
		areas = append(areas, string(x))
	}
	line("areas", strings.Join(areas, " "))
	signature := a.Say("alerts.signature_" + string(v.Signature.State))
	if v.Signature.Why != "" {
		signature += " · " + a.Say(v.Signature.Why)
	}
	if v.Signature.By != "" {
		signature += " · " + v.Signature.By
	}
	line("signature", signature)
	line("text", strings.ReplaceAll(v.Spoken(s.Site.Language), "\n", " "))
	for _, w := range v.Warnings {
		line("warning", w)
	}
	switch {
	case v.Known:
		a.Println(a.Say("alerts.known", a.alertState(v.Record, s.Site.Zone)))
	case v.State == emergency.StateRefused:
		a.Println(cli.Paint(a.Say("alerts.refused", a.Say("alerts.reason_"+string(v.Reason))), cli.Bad, a.Colour()))
	case v.State.Over():
		a.Println(a.Say("alerts.not_aired", a.alertState(v.Record, s.Site.Zone)))
	case v.Early(time.Now()):
		a.Println(cli.Paint(a.Say("alerts.airs_from", stamp(v.NotBefore), strings.Join(v.Outputs, a.Say("view.comma")), v.Residents), cli.Good, a.Colour()))
	case check:
		a.Println(cli.Paint(a.Say("alerts.would", strings.Join(v.Outputs, a.Say("view.comma")), v.Residents), cli.Good, a.Colour()))
	default:
		a.Println(cli.Paint(a.Say("alerts.airs", strings.Join(v.Outputs, a.Say("view.comma")), v.Residents), cli.Good, a.Colour()))
	}
	if v.NotKept {
		a.Println(cli.Paint(a.Say("alerts.not_kept"), cli.Bad, a.Colour()))
	}
}
