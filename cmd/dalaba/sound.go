package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"time"

	"dalaba/cmd/cli"
	"dalaba/controller/control"
	"dalaba/controller/hand"
	"dalaba/controller/site"
	"dalaba/devices"
	"dalaba/playlist"
	"dalaba/playlist/config"
	"dalaba/playlist/say"
)

// oneOutput returns the output of that name; if none is named, the only one.
func (a *app) oneOutput(cfg *config.Config, name string) (playlist.Output, error) {
	var names []string
	for _, o := range cfg.Outputs {
		if o.Name == name {
			return o, nil
		}
		names = append(names, o.Name)
	}
	switch {
	case name != "":
		return playlist.Output{}, a.noName("view.no_output", name, names)
	case len(names) == 1:
		return cfg.Outputs[0], nil
	}
	return playlist.Output{}, cli.Refuse(say.M("technician.which_output", strings.Join(names, a.Say("view.comma"))))
}

// played is `dalaba tone --json` and `dalaba play --json`.
type played struct {
	Output   string          `json:"output"`
	Device   string          `json:"device"`
	ByDaemon bool            `json:"by_daemon"`
	HZ       float64         `json:"hz,omitempty"`
	LevelDB  float64         `json:"level_db,omitempty"`
	Clip     playlist.ClipID `json:"clip,omitempty"`
	Title    string          `json:"title,omitempty"`
	File     string          `json:"file,omitempty"`
	Started  time.Time       `json:"started,omitzero"`
	Frames   int64           `json:"frames"`
	OfFrames int64           `json:"of_frames"`
	Complete bool            `json:"complete"`
	Error    string          `json:"error,omitempty"`
}

// sound plays an order through the daemon if one runs, else directly, and
// shows how it comes along. name is what sounds, for people.
func (a *app) sound(ctx context.Context, s *site.Site, out playlist.Output, o hand.Order, name, title string) error {
	o.Output = out.Name
	shown := false
	tell := func(r hand.Report) {
		if !a.JSON && cli.IsTerminal(a.Out) {
			at, whole := playlist.Length(r.Frames), playlist.Length(r.OfFrames)
			a.Redraw(a.Bar(out.Name, at, whole, figures(at, whole), name))
			shown = true
		}
	}
	byDaemon := daemonRuns(s.Site.DataDir)
	r, err := a.soundBy(ctx, byDaemon, s, out, o, tell)
	if shown {
		a.Redraw("")
	}
	stopped := r.Stopped || errors.Is(err, context.Canceled)
	if stopped {
		err = nil
	}
	if a.JSON {
		return a.soundJSON(played{
			Output: out.Name, Device: out.Device, ByDaemon: byDaemon, HZ: o.HZ, LevelDB: o.LevelDB, Clip: o.Clip, Title: title,
			File: o.File, Started: r.Started, Frames: r.Frames, OfFrames: r.OfFrames, Complete: r.Complete,
		}, err)
	}
	if err != nil {
		if r.Frames > 0 {
			a.Println(a.Say("technician.partly", out.Name, name, playlist.Length(r.Frames).Seconds(), playlist.Length(r.OfFrames).Seconds()))
		}
		return err
	}
	if stopped {
		a.Println(a.Say("technician.stopped", out.Name, name, playlist.Length(r.Frames).Seconds()))
		return nil
	}
	a.Println(a.Say("technician.heard", out.Name, name, playlist.Length(r.Frames).Seconds(), devices.Describe(playlist.Output{Name: out.Name, Device: out.Device})))
	return nil
}

// soundBy sounds an order through the daemon or, if none runs, directly.
func (a *app) soundBy(ctx context.Context, byDaemon bool, s *site.Site, out playlist.Output, o hand.Order, report func(hand.Report)) (hand.Report, error) {
	if !byDaemon {
		log := slog.New(slog.NewTextHandler(a.Err, &slog.HandlerOptions{Level: slog.LevelError}))
		return hand.Alone(ctx, s, out, o, log, report)
	}
	daemon, err := control.Ask(ctx, s.Site.DataDir, a.Language())
	if err != nil {
		return hand.Report{}, err
	}
	return daemon.Play(ctx, o, report)
}

func (a *app) soundJSON(p played, err error) error {
	if err != nil {
		p.Error = say.In(a.Language(), err)
	}
	if jsonErr := json.NewEncoder(a.Out).Encode(p); jsonErr != nil {
		return jsonErr
	}
	return err
}
