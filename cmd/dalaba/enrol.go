package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/data"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/say"
)

// enrolCmd makes the controller known to its county.
func (a *app) enrolCmd() *cobra.Command {
	var wait time.Duration
	c := a.JSONFlag(&cobra.Command{
		Use:   a.Say("enrol.use"),
		Short: a.Say("enrol.short"),
		Long:  a.Say("enrol.long"),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 2 {
				return cli.Refuse(say.M("enrol.two_args"))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			return a.enrol(c.Context(), args[0], strings.Join(args[1:], ""), wait)
		},
	})
	c.Flags().DurationVar(&wait, "wait", 24*time.Hour, a.Say("enrol.flag_wait"))
	return c
}

func (a *app) enrol(ctx context.Context, url, code string, wait time.Duration) (err error) {
	s, err := a.look(ctx)
	if err != nil {
		return err
	}
	if err := s.close(); err != nil {
		return err
	}
	store, err := data.Open(ctx, s.Site.DataDir, data.Options{
		Log: slog.New(slog.NewTextHandler(a.Err, &slog.HandlerOptions{Level: slog.LevelError})), Boot: bootID(), Mono: uptime,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	key, err := ownKey(s.Site.DataDir)
	if err != nil {
		return err
	}
	if !strings.Contains(url, "://") {
		url = "https://" + url
	}
	self := link.EnrolRequest{Site: s.Site.Name, Outputs: len(s.Outputs), Program: cli.Version()}
	for _, o := range s.Outputs {
		self.Residents += o.Residents
		area := o.Area
		if area == "" {
			area = s.Site.Area
		}
		if len(self.Areas) < 16 && !contains(self.Areas, area) {
			self.Areas = append(self.Areas, area)
		}
	}
	if !a.JSON {
		a.Println(a.Say("enrol.own_key", key.Public().Fingerprint()))
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	got, err := link.Enrol(ctx, link.Enrolment{URL: url, Code: code, Key: key, Self: self, Pending: func() {
		if !a.JSON {
			a.Println(a.Say("enrol.pending"))
		}
	}, Busy: func(wait time.Duration) {
		if !a.JSON {
			a.Println(a.Say("enrol.busy", wait))
		}
	}})
	if err != nil {
		return err
	}
	if err := link.Adopt(context.WithoutCancel(ctx), wire{store}, got); err != nil {
		return err
	}
	if err := store.SetState(context.WithoutCancel(ctx), stateEnrolled, time.Now().UTC().Format(time.RFC3339Nano)); err != nil {
		return err
	}
	if pid, ok := data.Running(s.Site.DataDir); ok && pid > 0 {
		if err := syscall.Kill(pid, syscall.SIGHUP); err != nil {
			a.Println(a.Say("import.reload_by_hand"))
		}
	}
	member, trust := got.Member.Member, got.Trust.Trust
	if a.JSON {
		return json.NewEncoder(a.Out).Encode(map[string]any{
			"controller": member.Controller, "areas": member.Areas, "groups": member.Groups, "key": key.Public().Fingerprint(), "county": trust.Fingerprint(),
		})
	}
	a.Println(a.Say("enrol.done", member.Controller))
	a.Println(a.Say("enrol.county_key", trust.Fingerprint()))
	return nil
}

func contains(all []playlist.Area, a playlist.Area) bool {
	for _, x := range all {
		if x == a {
			return true
		}
	}
	return false
}

// ownKey is the controller's key, made on the first day.
func ownKey(dataDir string) (*link.Key, error) {
	key, err := link.ReadKey(keyFile(dataDir))
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	key = link.NewKey()
	return key, link.WriteKey(keyFile(dataDir), key)
}

// isCarrier reports whether a folder is a stick from the county.
func isCarrier(dir string) bool {
	fi, err := os.Stat(filepath.Join(dir, "documents"))
	return err == nil && fi.IsDir()
}

// carriedAnswer is what a stick brought and takes along.
type carriedAnswer struct {
	Accepted int               `json:"accepted"` // documents taken
	Known    int               `json:"known"`    // that were here already
	Others   int               `json:"others"`   // for other controllers
	Refused  map[string]string `json:"refused,omitempty"`
	Clips    int               `json:"clips"`    // taken
	Missing  int               `json:"missing"`  // clips neither here nor on the stick
	Receipts int               `json:"receipts"` // laid on the stick
}

// carry takes in what a stick brings, by this controller.
func carry(ctx context.Context, ctl *link.Controller, dir string, lang say.Lang) (carriedAnswer, error) {
	got, err := ctl.Import(ctx, link.Carrier{Dir: dir})
	c := carriedAnswer{
		Accepted: len(got.Accepted), Known: got.Known, Others: got.Others,
		Clips: len(got.Clips), Missing: len(got.Missing), Receipts: got.Receipts,
	}
	for name, err := range got.Refused {
		if c.Refused == nil {
			c.Refused = map[string]string{}
		}
		c.Refused[name] = say.In(lang, err)
	}
	return c, err
}

// importCarrier is `dalaba import DIR` of a stick: through the daemon where one
// runs, so that what it brings is in force at once.
func (a *app) importCarrier(ctx context.Context, dir string) error {
	s, err := a.look(ctx)
	if err != nil {
		return err
	}
	if err := s.close(); err != nil {
		return err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	var c carriedAnswer
	if _, ok := data.Running(s.Site.DataDir); ok {
		r, err := askDaemon(ctx, socketOf(s.Site.DataDir), handOrder{Do: "carrier", File: dir, Lang: a.Language()}, func(handReport) {})
		if err != nil {
			return err
		}
		if r.Carried == nil {
			return say.M("technician.broke_off", "")
		}
		c = *r.Carried
	} else if c, err = a.carryHere(ctx, s, dir); err != nil {
		return err
	}
	if a.JSON {
		err = json.NewEncoder(a.Out).Encode(c)
	} else {
		a.Println(a.Say("enrol.carried", c.Accepted, c.Known, c.Others, c.Clips, c.Receipts))
		if c.Missing > 0 {
			a.Println(a.Say("enrol.carrier_lacks", c.Missing))
		}
		for name, why := range c.Refused {
			a.Println("  " + cli.Printable(name+": "+why))
		}
	}
	if err == nil && len(c.Refused) > 0 {
		return cli.ErrTold
	}
	return err
}

// carryHere is carry with no daemon: what it brings is in force from the next
// start on.
func (a *app) carryHere(ctx context.Context, s *site, dir string) (c carriedAnswer, err error) {
	log := slog.New(slog.NewTextHandler(a.Err, &slog.HandlerOptions{Level: slog.LevelError}))
	store, err := data.Open(ctx, s.Site.DataDir, data.Options{Log: log, Boot: bootID(), Mono: uptime})
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	ctl, err := newController(s.Site.DataDir, wire{store})
	if errors.Is(err, fs.ErrNotExist) {
		return c, say.M("enrol.not_enrolled")
	}
	if err != nil {
		return c, err
	}
	ctl.Log = log
	return carry(ctx, ctl, dir, a.Language())
}
