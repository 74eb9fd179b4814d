package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/county"
	"dalaba/county/store"
	"dalaba/ingest"
	"dalaba/playlist"
	"dalaba/playlist/config"
)

// target is the scopes that a verb is for: --area, --group or --controller.
type target struct{ areas, groups, controllers []string }

// empty reports whether no such flag was given.
func (t target) empty() bool { return len(t.areas)+len(t.groups)+len(t.controllers) == 0 }

func (a *app) targetFlags(c *cobra.Command, t *target) {
	c.Flags().StringSliceVar(&t.areas, "area", nil, a.Say("county.flag_to_area"))
	c.Flags().StringSliceVar(&t.groups, "group", nil, a.Say("county.flag_to_group"))
	c.Flags().StringSliceVar(&t.controllers, "controller", nil, a.Say("county.flag_to_controller"))
}

// scopes reads the flags.
func (t target) scopes() ([]playlist.Scope, error) {
	var all []playlist.Scope
	for _, v := range t.areas {
		all = append(all, playlist.AreaScope(playlist.Area(v)))
	}
	for _, v := range t.groups {
		all = append(all, playlist.GroupScope(v))
	}
	for _, v := range t.controllers {
		all = append(all, playlist.ControllerScope(playlist.ControllerID(v)))
	}
	if len(all) == 0 {
		return nil, cli.Refuse(sayM("county.no_target"))
	}
	for _, s := range all {
		if _, err := playlist.ParseScope(string(s)); err != nil {
			return nil, cli.Refuse(err)
		}
	}
	return all, nil
}

// library is the county's clips for the reader of push files. Files that a
// pattern matches are handed in.
type library struct {
	ctx  context.Context
	app  *app
	k    *client
	errs []error // the county could not be asked: nothing is wrong with the file then
}

func (l *library) Clip(id playlist.ClipID) (c playlist.Clip, ok bool) {
	err := l.k.get(l.ctx, "/api/clips/"+string(id), nil, &c)
	if err != nil && unanswered(err) {
		l.errs = append(l.errs, err)
	}
	return c, err == nil
}

func (l *library) Series(name string) (all []playlist.Clip) {
	if err := l.k.get(l.ctx, "/api/clips", url.Values{"series": {name}}, &all); err != nil {
		l.errs = append(l.errs, err)
	}
	return all
}

func (l *library) Glob(pattern string) ([]playlist.Clip, error) {
	paths, err := ingest.Glob(pattern)
	if err != nil {
		return nil, err
	}
	var all []playlist.Clip
	var failed error
	for _, p := range paths {
		out, err := l.app.upload(l.ctx, l.k, ingest.Item{Path: p})
		if err != nil && unanswered(err) {
			l.errs = append(l.errs, err)
			break
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", p, err))
			continue
		}
		all = append(all, out.Clip)
	}
	return all, failed
}

// readPush reads a push file and prints what is wrong with it.
func (a *app) readPush(ctx context.Context, k *client, s county.CountyStatus, path string) (county.Draft, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return county.Draft{}, cli.Refuse(sayM("county.no_file", path, err))
	}
	zone, err := time.LoadLocation(s.Zone)
	if err != nil {
		return county.Draft{}, err
	}
	lib := &library{ctx: ctx, app: a, k: k}
	push, problems := config.ReadPush(path, text, zone, lib)
	if len(lib.errs) > 0 { // what could not be looked up is among the problems
		return county.Draft{}, errors.Join(sayM("county.push_unread", path), lib.errs[0])
	}
	for _, p := range problems {
		a.Remark(p.In(a.Language()))
	}
	if push == nil {
		return county.Draft{}, cli.Refuse(cli.ErrTold)
	}
	return county.Draft{
		Playlists: append([]playlist.Playlist{}, push.Playlists...), Slots: append([]playlist.Slot{}, push.Slots...), Exceptions: push.Exceptions,
	}, nil
}

// pushed is `push --json`.
type pushed struct {
	Proposals []county.Proposal  `json:"proposals"`
	Issued    []store.Envelope   `json:"issued"`
	Unsigned  []string           `json:"unsigned,omitempty"` // files to be signed
	Delivery  []county.Delivered `json:"delivery,omitempty"`
}

// issueFlags are the flags of the verbs that issue manifests.
type issueFlags struct {
	unsigned string // file to write instead, to be signed elsewhere
	dry, yes bool
	anyway   bool
	wait     time.Duration
}

func (a *app) issueFlags(c *cobra.Command, o *issueFlags) {
	f := c.Flags()
	f.BoolVar(&o.dry, "dry-run", false, a.Say("county.flag_dry"))
	f.BoolVar(&o.yes, "yes", false, a.Say("county.flag_yes"))
	f.BoolVar(&o.anyway, "anyway", false, a.Say("county.flag_anyway_push"))
	f.StringVar(&o.unsigned, "unsigned", "", a.Say("county.flag_unsigned"))
	f.DurationVar(&o.wait, "wait", 0, a.Say("county.flag_wait"))
}

// pushFlags are the flags of push beside these.
type pushFlags struct {
	issueFlags
	target          target
	note, notBefore string
	partial, signed bool
}

func (a *app) pushCmd() *cobra.Command {
	var o pushFlags
	c := a.JSONFlag(&cobra.Command{
		Use: "push " + a.Say("county.use_file"), Short: a.Say("county.push_short"), Long: a.Say("county.push_long"), Args: a.oneArg("file"),
		RunE: func(c *cobra.Command, args []string) error {
			k, err := a.ask()
			if err != nil {
				return err
			}
			if o.signed {
				return a.publishSigned(c.Context(), k, args[0], o.issueFlags)
			}
			return a.push(c.Context(), k, args[0], o)
		},
	})
	a.targetFlags(c, &o.target)
	f := c.Flags()
	f.StringVar(&o.note, "note", "", a.Say("county.flag_note"))
	f.StringVar(&o.notBefore, "not-before", "", a.Say("county.flag_not_before"))
	f.BoolVar(&o.partial, "partial", false, a.Say("county.flag_partial"))
	f.BoolVar(&o.signed, "signed", false, a.Say("county.flag_signed"))
	a.issueFlags(c, &o.issueFlags)
	return c
}

// push proposes what a file says for each scope, and issues it.
func (a *app) push(ctx context.Context, k *client, path string, o pushFlags) error {
	scopes, err := o.target.scopes()
	if err != nil {
		return err
	}
	var s county.CountyStatus
	if err := k.get(ctx, "/api/status", nil, &s); err != nil {
		return err
	}
	d, err := a.readPush(ctx, k, s, path)
	if err != nil {
		return err
	}
	d.Note, d.Partial = o.note, o.partial
	if o.notBefore != "" {
		zone, err := time.LoadLocation(s.Zone)
		if err != nil {
			return err
		}
		if d.NotBefore, _, err = cli.ParseWhen(o.notBefore, cli.Ahead, time.Now(), zone); err != nil {
			return cli.Refuse(err)
		}
	}
	var out pushed
	for _, scope := range scopes {
		d.Scope = scope
		var p county.Proposal
		if err := k.post(ctx, "/api/propose", nil, d, &p); err != nil {
			return err
		}
		out.Proposals = append(out.Proposals, p)
		if !a.JSON {
			a.proposal(k, p)
		}
	}
	return a.issue(ctx, k, out, o.issueFlags, func(i int) (e store.Envelope, err error) {
		d.Scope, d.Over, d.Anyway = scopes[i], &out.Proposals[i].Over, o.anyway
		return e, k.post(ctx, "/api/push", nil, d, &e)
	})
}

// issue asks the person, has do issue each proposal, or writes what is to be
// signed elsewhere, and follows the delivery.
func (a *app) issue(ctx context.Context, k *client, out pushed, o issueFlags, do func(int) (store.Envelope, error)) error {
	out.Issued = []store.Envelope{}
	if o.dry {
		if a.JSON {
			return a.show(out)
		}
		a.Println(a.Say("county.dry"))
		return nil
	}
	if o.unsigned != "" {
		return a.writeUnsigned(ctx, k, out, o.unsigned)
	}
	for _, p := range out.Proposals {
		if len(p.Doubts) > 0 && !o.anyway {
			return cli.Refuse(sayM("county.doubtful", p.InWords(p.Doubts[0])))
		}
	}
	if err := a.Confirm(ctx, a.Say("county.push_ask"), o.yes); err != nil {
		return err
	}
	for i := range out.Proposals {
		e, err := do(i)
		if err != nil && unanswered(err) && ctx.Err() == nil {
			err = errors.Join(sayM("county.push_unsure", string(out.Proposals[i].Manifest.Scope)), err)
		}
		if err != nil {
			if a.JSON && i > 0 {
				err = errors.Join(err, a.show(out)) // what is published is told
			}
			return err
		}
		out.Issued = append(out.Issued, e)
		if !a.JSON {
			a.Println(a.Say("county.issued", string(e.Scope), e.Version))
		}
	}
	return a.follow(ctx, k, out, o.wait)
}

// writeUnsigned writes the envelope of each proposal without a signature, the
// second and later ones to files with a number in their name.
func (a *app) writeUnsigned(ctx context.Context, k *client, out pushed, file string) error {
	for i, p := range out.Proposals {
		name := file
		if len(out.Proposals) > 1 {
			name = strings.TrimSuffix(file, filepath.Ext(file)) + fmt.Sprintf("-%d", i+1) + filepath.Ext(file)
		}
		var raw rawJSON
		if err := k.post(ctx, "/api/unsigned", nil, p.Manifest, &raw); err != nil {
			return err
		}
		if err := renameio.WriteFile(name, raw, 0o644); err != nil {
			return err
		}
		out.Unsigned = append(out.Unsigned, name)
		if !a.JSON {
			a.Println(a.Say("county.unsigned", name, name, name))
		}
	}
	if a.JSON {
		return a.show(out)
	}
	return nil
}

// rawJSON keeps a response as it is.
type rawJSON []byte

// UnmarshalJSON keeps it.
func (r *rawJSON) UnmarshalJSON(b []byte) error {
	*r = bytes.Clone(b)
	return nil
}

// followEvery is how often a delivery is looked up.
const followEvery = 500 * time.Millisecond

// follow shows how far the controllers are, until all air what was issued or the time is
// over. If wait is not 0, it is an error if some do not.
func (a *app) follow(ctx context.Context, k *client, out pushed, wait time.Duration) error {
	for _, e := range out.Issued {
		all, err := a.followOne(ctx, k, e, wait)
		if err != nil {
			return err
		}
		out.Delivery = append(out.Delivery, all...)
	}
	if a.JSON {
		if err := a.show(out); err != nil {
			return err
		}
	}
	if wait == 0 {
		return nil
	}
	return a.allAir(out.Delivery)
}

// mostNamed is how many controllers a sentence names.
const mostNamed = 10

// allAir returns which controllers do not air what was issued, and will not without more
// being done.
func (a *app) allAir(all []county.Delivered) error {
	var left []string
	n := 0
	for _, d := range all {
		if d.Step == county.StepActive || d.Scheduled() {
			continue
		}
		if n++; n <= mostNamed {
			left = append(left, a.Say("county.delivery_one", string(d.Controller), cli.Printable(d.Name), a.stepOf(d)))
		}
	}
	switch {
	case n == 0:
		return nil
	case n > mostNamed:
		left = append(left, a.Say("county.delivery_more", n-mostNamed))
	}
	return sayM("county.delivery_left", n, len(all), strings.Join(left, "\n  "))
}

// stepOf puts into words how far a controller is, and why it is no further.
func (a *app) stepOf(d county.Delivered) string {
	step := a.Word("county.step_", string(d.Step))
	switch {
	case d.Why != "":
		step = a.Say("county.delivery_why", step, a.Word("county.why_", d.Why))
	case !d.Online && d.Step != county.StepActive:
		step = a.Say("county.delivery_why", step, a.Say("county.why_offline"))
	}
	return step
}

func (a *app) followOne(ctx context.Context, k *client, e store.Envelope, wait time.Duration) ([]county.Delivered, error) {
	end := time.Now().Add(wait)
	for {
		all, err := delivery(ctx, k, e)
		if err != nil {
			return nil, err
		}
		done := !slices.ContainsFunc(all, func(d county.Delivered) bool { return !d.Settled() }) || !time.Now().Before(end)
		if !a.JSON {
			a.progress(a.deliverySum(e, all), done)
		}
		if done {
			return all, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(followEvery):
		}
	}
}

// deliverySum counts how far the controllers are with a version.
func (a *app) deliverySum(e store.Envelope, all []county.Delivered) string {
	count := map[county.Step]int{}
	for _, d := range all {
		count[d.Step]++
	}
	line := a.Say("county.delivery", string(e.Scope), e.Version, len(all), count[county.StepWaiting], count[county.StepDelivered], count[county.StepFetched], count[county.StepActive])
	for _, s := range []county.Step{county.StepRefused, county.StepUnknown} {
		if count[s] > 0 {
			line += a.Say("county.delivery_and", a.Word("county.step_", string(s)), count[s])
		}
	}
	return line
}

// progress shows a line in the place of the one before it; outside a terminal
// only the last one.
func (a *app) progress(line string, last bool) {
	if !last {
		a.Redraw(line)
		return
	}
	a.Redraw("")
	a.Println(line)
}

// delivery asks how far each controller is with a version.
func delivery(ctx context.Context, k *client, e store.Envelope) (all []county.Delivered, err error) {
	return all, k.get(ctx, "/api/delivery", url.Values{"scope": {string(e.Scope)}, "version": {strconv.FormatInt(e.Version, 10)}}, &all)
}

// proposal shows what a push would do.
func (a *app) proposal(k *client, p county.Proposal) {
	r := p.Reaches
	a.Println(a.Say("county.proposal", string(p.Manifest.Scope), p.Manifest.Version, p.Over))
	a.Println(a.Say("county.reaches", r.Controllers, r.Online, r.Outputs, r.Residents, len(r.Areas)))
	if len(p.Changes) == 0 {
		a.Println(a.Say("county.no_change"))
	}
	for _, c := range p.Changes {
		a.change(c)
	}
	if w := p.Waiting; w != nil {
		a.Println(cli.Paint(a.Say("county.waiting_replaced", w.Version, k.local(w.Begins).Format("2006-01-02 15:04")), cli.Warn, a.Colour()))
	}
	for _, d := range p.Doubts {
		a.Println(cli.Paint(p.InWords(d).In(a.Language()), cli.Warn, a.Colour()))
	}
	if !p.Manifest.NotBefore.IsZero() {
		a.Println(a.Say("county.from_day", k.local(p.Manifest.NotBefore).Format("2006-01-02 15:04")))
	}
	a.Println(a.Say("county.adds", float64(p.Bytes)/(1<<20)))
	a.conflicts(k, p)
	if !p.Signed {
		a.Println(a.Say("county.no_key_here"))
	}
}

// conflicts shows what will not go as slots say, in which villages.
func (a *app) conflicts(k *client, p county.Proposal) {
	if len(p.Conflicts) > 0 {
		a.Println(a.Say("county.conflicts", len(p.Conflicts)))
		t := a.NewTable(cli.Key(a.Say("county.head_first")), cli.Title(a.Say("county.head_slot")), cli.Message(a.Say("county.head_conflict")),
			cli.Title(a.Say("county.head_other")), ">"+a.Say("county.head_times"), ">"+a.Say("county.head_villages"), cli.Title(a.Say("county.head_such_as")))
		for _, c := range p.Conflicts {
			other := ""
			if c.Other != "" {
				other = a.slotOf(c.OtherScope, c.Other, p.Manifest.Scope)
			}
			t.Add(k.local(c.Due).Format("01-02 15:04"), a.slotOf(c.Scope, c.Slot, p.Manifest.Scope), a.Word("county.flag_kind_", string(c.Kind)), other,
				strconv.Itoa(c.Times), strconv.Itoa(c.Controllers), cli.Printable(strings.Join(c.Names[:1], "")))
		}
		a.Println(t.Page())
	}
	if n := p.Foresight.Untold; n > 0 {
		a.Println(a.Say("county.untold", n))
	}
	if n := p.Foresight.Unseen; n > 0 {
		a.Println(a.Say("county.unseen", n))
	}
}

// slotOf names a slot, and the scope that it comes from if that is not the one spoken of.
func (a *app) slotOf(scope playlist.Scope, name string, of playlist.Scope) string {
	switch scope {
	case of:
		return cli.Printable(name)
	case "":
		return a.Say("county.slot_own", cli.Printable(name))
	}
	return a.Say("county.slot_of", cli.Printable(name), string(scope))
}

// mostFields is how many fields of one change are shown: a playlist may have hundreds of
// clips.
const mostFields = 20

// change shows what changes of a slot, playlist or clip.
func (a *app) change(c county.Change) {
	mark := map[string]string{"added": "+", "removed": "-", "changed": "~"}[c.How]
	tone := map[string]cli.Tone{"+": cli.Good, "-": cli.Bad, "~": cli.Warn}[mark]
	a.Println(cli.Paint("  "+mark+" "+a.Say("county.change_"+c.What)+" "+cli.Printable(c.Name), tone, a.Colour()))
	for i, f := range c.Fields {
		if i == mostFields {
			a.Println("      " + a.Say("county.fields_more", len(c.Fields)-i))
			break
		}
		name, was, now := a.Word("county.field_", f.Name), a.fieldValue(f.Name, f.Was), a.fieldValue(f.Name, f.Now)
		line := a.Say("county.field_changed", name, was, now)
		switch {
		case c.How == "added":
			line = a.Say("county.field_set", name, now)
		case f.Name == "clip" && f.Was == "":
			line = a.Say("county.field_clip_added", now)
		case f.Name == "clip":
			line = a.Say("county.field_clip_removed", was)
		}
		a.Println("      " + cli.Printable(line))
	}
}

// fieldValue is a value of a field as people read it.
func (a *app) fieldValue(field, value string) string {
	switch {
	case value == "" && field == "days":
		return a.Say("cron.daily")
	case value == "" && field == "instead_at":
		return a.Say("county.field_left_out")
	case value == "":
		return a.Say("county.field_none")
	}
	switch field {
	case "cron":
		if c, err := playlist.ParseCron(value); err == nil {
			return config.InWords(c).In(a.Language())
		}
	case "days":
		var days []string
		for _, day := range strings.Split(value, ", ") {
			days = append(days, a.Word("county.field_days_", day))
		}
		return strings.Join(days, ", ")
	case "missed":
		return a.Word("county.field_missed_", value)
	case "after":
		return a.Word("county.field_after_", value)
	case "into_quiet":
		return a.Word("county.field_into_quiet_", value)
	case "chime":
		return a.Word("county.field_chime_", value)
	case "instead":
		return a.Word("county.field_instead_", value)
	case "order":
		return a.Word("county.field_order_", value)
	}
	return value
}
