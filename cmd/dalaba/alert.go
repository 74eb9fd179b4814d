package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dalaba/alert"
	"dalaba/cmd/cli"
	"dalaba/controller"
	"dalaba/controller/control"
	"dalaba/controller/site"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
	"dalaba/web"
)

// alertOptions are the flags of alert, and its file.
type alertOptions struct {
	file           string
	text, title    string
	texted         bool // --text is there, if only to be refused for being empty
	level          int
	drill          bool
	life           time.Duration
	update, cancel string
	check, yes     bool
}

// handFlags are the flags that only an alert that is made here has.
var handFlags = []string{"text", "title", "level", "drill", "for", "update"}

// alertCmd hands an emergency message in by hand or makes one, looks at one, or lists
// those that came.
func (a *app) alertCmd() *cobra.Command {
	var o alertOptions
	c := a.JSONFlag(&cobra.Command{
		Use:   a.Say("alerts.use"),
		Short: a.Say("alerts.short"),
		Long:  a.Say("alerts.long"),
		RunE: func(c *cobra.Command, args []string) error {
			if o.file != "" {
				path, err := filepath.Abs(o.file)
				if err != nil {
					return err
				}
				o.file = path
			}
			switch {
			case o.cancel != "":
				return a.alertCancel(c.Context(), o.cancel)
			case o.made():
				return a.alertMake(c.Context(), o)
			case o.file == "":
				return a.alertList(c.Context())
			}
			return a.alertFile(c.Context(), o.file, o.check)
		},
	})
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) > 1 {
			return cli.Refuse(say.M("alerts.one_file"))
		}
		o.file = strings.Join(args, "")
		o.texted = c.Flags().Changed("text")
		if c.Flags().Changed("for") && o.life == 0 { // that is not as if it were left out
			return cli.Refuse(say.M("alerts.hand_life", o.life))
		}
		return o.mix(slices.ContainsFunc(handFlags, c.Flags().Changed))
	}
	f := c.Flags()
	f.BoolVar(&o.check, "check", false, a.Say("alerts.flag_check"))
	f.StringVar(&o.text, "text", "", a.Say("alerts.flag_text"))
	f.StringVar(&o.title, "title", "", a.Say("alerts.flag_title"))
	f.IntVar(&o.level, "level", int(emergency.Red), a.Say("alerts.flag_level"))
	f.BoolVar(&o.drill, "drill", false, a.Say("alerts.flag_drill"))
	f.DurationVar(&o.life, "for", 0, a.Say("alerts.flag_for"))
	f.StringVar(&o.update, "update", "", a.Say("alerts.flag_update"))
	f.BoolVar(&o.yes, "yes", false, a.Say("alerts.flag_yes"))
	f.StringVar(&o.cancel, "cancel", "", a.Say("alerts.flag_cancel"))
	return c
}

// mix returns which of the flags do not go together. hand: one that is of an alert
// made here is among them.
func (o alertOptions) mix(hand bool) error {
	switch {
	case o.cancel != "" && (o.file != "" || o.check || hand),
		o.check && o.file == "" && !o.texted:
		return cli.Refuse(say.M("alerts.bad_mix"))
	case isText(o.file) && o.texted:
		return cli.Refuse(say.M("alerts.two_texts"))
	case hand && !o.made():
		return cli.Refuse(say.M("alerts.hand_only"))
	}
	return nil
}

func (a *app) alertFile(ctx context.Context, path string, check bool) (err error) {
	s, err := a.lookToAsk(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	raw, err := controller.ReadMessage(path)
	if err != nil {
		return cli.Refuse(say.M("alerts.unreadable", path, err))
	}
	m, err := controller.ReadAlert(ctx, raw, s.Alert)
	if err != nil {
		return cli.Refuse(err)
	}
	v, err := a.wouldBe(ctx, s, m, controller.RecordOf(m, playlist.AlertByHand))
	if err != nil {
		return err
	}
	if !check {
		daemon, err := control.Ask(ctx, s.Site.DataDir, a.Language())
		if err != nil {
			return err
		}
		got, err := daemon.TakeAlert(ctx, raw)
		if err != nil {
			return err
		}
		would := v
		v = s.AlertOf(got.Record)
		v.Known, v.NotKept = got.Known, got.NotKept
		v.Document, v.Verdict, v.Warnings, v.Recordings, v.As = would.Document, would.Verdict, would.Warnings, would.Recordings, would.As
	}
	for _, x := range controller.Remarks(v.Record) {
		v.Remarks = append(v.Remarks, x.In(a.Language()))
	}
	return a.alertTell(s, v, check)
}

// wouldBe returns what would become of a message if it came now.
func (a *app) wouldBe(ctx context.Context, s *site.Site, m alert.Message, r emergency.Record) (site.Alert, error) {
	r.Received, r.Clock = time.Now().UTC(), playlist.ClockTrusted
	book, err := s.AlertBook(ctx)
	if err != nil {
		return site.Alert{}, err
	}
	as, recordings := controller.SoundOf(m.Alert, r, s.Config)
	book.Receive(r, &s.Programme)
	got, known := book.Record(r.ID)
	v := s.AlertOf(got)
	v.Known = known && !got.Received.Equal(r.Received)
	v.Document, v.Verdict, v.As = m.Kind, m.Verdict, as
	for _, w := range m.Warnings {
		v.Warnings = append(v.Warnings, w.In(a.Language()))
	}
	for _, x := range recordings {
		x.Reason = x.Why.In(a.Language())
		v.Recordings = append(v.Recordings, x)
	}
	return v, nil
}

// alertTell shows what became of a message, or would.
func (a *app) alertTell(s *site.Site, v site.Alert, check bool) error {
	if a.JSON {
		if err := json.NewEncoder(a.Out).Encode(v); err != nil {
			return err
		}
	} else {
		a.alertShow(s, v, check)
	}
	if v.State == emergency.StateRefused {
		return cli.ErrTold
	}
	return nil
}

// alertCancel retires an alert by hand.
func (a *app) alertCancel(ctx context.Context, which string) (err error) {
	s, err := a.lookToAsk(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	r, err := a.alertNamed(ctx, s, which)
	if err != nil {
		return err
	}
	daemon, err := control.Ask(ctx, s.Site.DataDir, a.Language())
	if err != nil {
		return err
	}
	if _, err := daemon.CancelAlert(ctx, r.ID); err != nil {
		return err
	}
	if a.JSON {
		return json.NewEncoder(a.Out).Encode(map[string]any{"cancelled": r.ID})
	}
	a.Println(a.Say("alerts.cancelled", cli.Printable(r.Headline()), string(r.ID)))
	return nil
}

// alertList lists the alerts that came.
func (a *app) alertList(ctx context.Context) (err error) {
	s, err := a.lookToAsk(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	records, err := a.alertRecords(ctx, s)
	if err != nil {
		return err
	}
	if a.JSON {
		views := []site.Alert{}
		for i, r := range records {
			v := s.AlertOf(r)
			v.Number = site.AlertNumber(records, i)
			views = append(views, v)
		}
		return json.NewEncoder(a.Out).Encode(views)
	}
	if len(records) == 0 {
		a.Println(a.Say("alerts.none"))
		return nil
	}
	t := a.NewTable(">#", cli.Key(a.Say("alerts.received")), cli.Message(a.Say("alerts.state")), cli.Key(a.Say("alerts.kind")),
		cli.Title(a.Say("alerts.title")), cli.Message(a.Say("alerts.id")))
	for i, r := range records {
		t.Add(site.AlertNumber(records, i), web.Stamp(r.Received, time.Now(), s.Site.Zone), cli.Tint(a.alertState(r, s.Site.Zone), alertTone(r.State)),
			a.alertKind(r), a.alertTitle(r, records), r.ID)
	}
	a.Println(strings.TrimRight(t.Page(), "\n"))
	return nil
}

// alertTitle is an alert in a few words: a cancel that says nothing is called by what it
// cancels.
func (a *app) alertTitle(r emergency.Record, records []emergency.Record) string {
	if r.Kind != emergency.KindCancel || len(r.Texts) > 0 || len(r.Refs) == 0 {
		return r.Headline()
	}
	i := slices.IndexFunc(records, func(x emergency.Record) bool { return r.Refs[0].Means(x.ID) })
	if i < 0 {
		return string(r.Refs[0])
	}
	return records[i].Headline()
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
	text := a.Word("alerts.state_", string(r.State))
	if r.State == emergency.StateWaiting && r.Early(time.Now()) {
		text += " · " + a.Say("alerts.from", web.Stamp(r.NotBefore, time.Now(), zone))
	}
	if r.Reason != "" && (r.State != emergency.StateCancelled || r.Reason != emergency.ReasonCancelled) {
		text += " · " + a.alertReason(r.Reason)
	}
	return text
}

// alertReason is why an alert does not sound, for people.
func (a *app) alertReason(r emergency.Reason) string { return a.Word("alerts.reason_", string(r)) }

// alertKind is what a message is, for people: its class, with the level of an
// emergency. A cancel and an answer are no emergency, whatever they are about.
func (a *app) alertKind(r emergency.Record) string {
	if r.Kind == emergency.KindCancel || r.Kind == emergency.KindAnswer {
		return a.Word("alerts.kind_", string(r.Kind))
	}
	text := a.Word("alerts.class_", cmp.Or(string(r.Class), "none"))
	if r.Class == emergency.ClassEmergency && r.Level >= emergency.Red && r.Level <= emergency.Blue {
		text += " · " + a.Say("alerts.level_"+strconv.Itoa(int(r.Level)))
	}
	if r.Kind != emergency.KindRequest {
		text = a.Word("alerts.kind_", string(r.Kind)) + " · " + text
	}
	return text
}

// textColumn is where the texts of alertShow begin.
const textColumn = 12

// alertShow tells of one message, line by line.
func (a *app) alertShow(s *site.Site, v site.Alert, check bool) {
	line := func(key, text string) {
		if text != "" {
			a.Println("  " + cli.Columns.FillRight(a.Say("alerts."+key), textColumn-2) + a.Fold(cli.Printable(text), textColumn, textColumn))
		}
	}
	stamp := func(t time.Time) string { return web.Stamp(t, time.Now(), s.Site.Zone) }
	a.Println(cli.Printable(v.Headline()))
	made := v.Source == playlist.AlertAtSite
	if !made || !check {
		line("id", string(v.ID))
	}
	line("kind", a.alertKind(v.Record))
	line("sender", strings.TrimSpace(v.SenderName+" "+v.Sender))
	if !made {
		line("format", v.Format)
		line("event", strings.TrimSpace(v.Event+" "+v.EventCode))
		line("sent", stamp(v.Sent))
	}
	line("expires", stamp(v.Expires))
	var areas []string
	for _, x := range v.Areas {
		areas = append(areas, string(x))
	}
	line("areas", strings.Join(areas, " "))
	if made {
		line("proof", a.Say("alerts.at_site"))
	} else {
		line("signature", a.alertSignature(v))
	}
	line("replaces", a.alertReplaces(v.Record))
	airs := slices.ContainsFunc(v.Recordings, func(x site.Recording) bool { return x.Airs })
	switch spoken := v.Spoken(s.Site.Language); {
	case !airs:
		line("text", strings.ReplaceAll(spoken, "\n", " "))
	case spoken != v.Headline():
		line("text_else", strings.ReplaceAll(spoken, "\n", " "))
	}
	for _, x := range v.Recordings {
		key := "recording"
		if !x.Airs {
			key = "dropped"
		}
		line(key, a.Say("alerts.recording_why", cmp.Or(x.Name, "?"), x.Reason))
	}
	if len(v.Recordings) > 0 && !airs && say.Has("alerts.as_"+string(v.As)) {
		line("instead", a.Say("alerts.as_"+string(v.As)))
	}
	if _, sounds := v.Alert.Rank(); sounds {
		line("passes", a.alertPasses(s, v))
	}
	for _, w := range slices.Concat(v.Remarks, v.Warnings) {
		line("warning", w)
	}
	a.alertVerdict(s, v, check)
}

// alertSignature tells of the signature.
func (a *app) alertSignature(v site.Alert) string {
	text := a.Word("alerts.signature_", cmp.Or(string(v.Signature.State), string(emergency.SignatureAbsent)))
	if say.Has(v.Signature.Why) { // a newer program may know more reasons
		text += " · " + a.Say(v.Signature.Why)
	}
	if v.Signature.By != "" {
		text += " · " + v.Signature.By
	}
	return text
}

func (a *app) alertReplaces(r emergency.Record) string {
	var refs []string
	for _, id := range r.Refs {
		refs = append(refs, string(id))
	}
	return strings.Join(refs, " ")
}

// alertPasses tells how often the alert sounds and how long that takes, as far as it
// was measured.
func (a *app) alertPasses(s *site.Site, v site.Alert) string {
	rules := s.Alerts.Filled()
	passes, gap := cmp.Or(v.Passes, rules.Passes), cmp.Or(v.Gap, rules.Gap)
	switch {
	case passes == 1 && v.PassS == 0:
		return a.Say("alerts.pass")
	case passes == 1:
		return a.Say("alerts.pass_long", rules.ToneMin.Seconds(), v.PassS)
	case v.PassS == 0:
		return a.Say("alerts.passes_n", passes, gap.Seconds())
	}
	one := rules.ToneMin + seconds(v.PassS)
	whole := time.Duration(passes)*one + time.Duration(passes-1)*gap
	return a.Say("alerts.passes_long", passes, rules.ToneMin.Seconds(), v.PassS, gap.Seconds(), web.Length(whole))
}

// alertVerdict tells where a message sounds or would, or why it does not.
func (a *app) alertVerdict(s *site.Site, v site.Alert, check bool) {
	stamp := func(t time.Time) string { return web.Stamp(t, time.Now(), s.Site.Zone) }
	outputs := strings.Join(v.Outputs, a.Say("view.comma"))
	good := func(key string, args ...any) {
		a.Println(cli.Paint(a.Say("alerts."+key, args...), cli.Good, a.Colour()))
	}
	switch {
	case v.Known:
		a.Println(a.Say("alerts.known", a.alertState(v.Record, s.Site.Zone)))
	case v.State == emergency.StateRefused:
		a.Println(cli.Paint(a.Say("alerts.refused", a.alertReason(v.Reason)), cli.Bad, a.Colour()))
	case v.State.Over():
		a.Println(a.Say("alerts.not_aired", a.alertState(v.Record, s.Site.Zone)))
	case v.Early(time.Now()):
		good("airs_from", stamp(v.NotBefore), outputs, v.Residents)
	case check:
		good("would", outputs, v.Residents)
	default:
		good("airs", outputs, v.Residents)
	}
	if v.NotKept {
		a.Println(cli.Paint(a.Say("alerts.not_kept"), cli.Bad, a.Colour()))
	}
}
