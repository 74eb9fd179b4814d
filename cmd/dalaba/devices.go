package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/controller/site"
	"dalaba/controller/status"
	"dalaba/devices"
	"dalaba/playlist/say"
)

// devicesCmd lists what this machine can play on, and what the outputs use.
func (a *app) devicesCmd() *cobra.Command {
	return a.JSONFlag(&cobra.Command{
		Use:   "devices",
		Short: a.Say("technician.devices_short"),
		RunE:  func(c *cobra.Command, _ []string) error { return a.devices(c.Context(), time.Now()) },
	})
}

// listed is `dalaba devices --json`.
type listed struct {
	devices.Listing
	Problem string       `json:"problem,omitempty"` // why there are no cards, or no outputs
	Outputs []outputUses `json:"outputs"`           // of the config, if there is one
}

type outputUses struct {
	Name    string           `json:"name"`
	Device  string           `json:"device"`
	PCM     string           `json:"pcm,omitempty"` // the card, if it plays on one
	LevelDB float64          `json:"level_db"`
	Control *devices.Control `json:"control,omitempty"` // what takes the level
	Muted   []string         `json:"muted,omitempty"`
	HeldBy  []devices.Holder `json:"held_by,omitempty"`
	State   status.State     `json:"state"` // as of dalaba status
	Since   time.Time        `json:"since,omitzero"`
	Problem string           `json:"problem,omitempty"`
}

func (a *app) devices(ctx context.Context, now time.Time) error {
	var (
		l    listed
		told []string
		err  error
	)
	if l.Listing, err = devices.List(); err != nil {
		told = append(told, say.In(a.Language(), err))
	}
	for i := range l.Cards {
		l.Cards[i].Controls = orNone(l.Cards[i].Controls)
	}
	// ALSA's own null swallows an hour in a second: ours is "null:".
	l.Other = slices.DeleteFunc(l.Other, func(p devices.PCM) bool { return p.Name == "null" })
	l.Cards, l.Other, l.Outputs = orNone(l.Cards), orNone(l.Other), []outputUses{}
	s, err := a.look(ctx)
	switch {
	case err == nil:
		defer func() { _ = s.Close() }()
		if l.Outputs, err = a.outputsUse(ctx, s, now); err != nil {
			return err
		}
	case errors.Is(err, cli.ErrTold):
		told = append(told, a.Say("technician.config_broken", a.config.Path))
	default:
		told = append(told, say.In(a.Language(), err))
	}
	l.Problem = strings.Join(told, "\n")
	if a.JSON {
		return json.NewEncoder(a.Out).Encode(l)
	}
	a.showDevices(l)
	for _, t := range told {
		a.Println("")
		a.Println(t)
	}
	return nil
}

func orNone[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func (a *app) outputsUse(ctx context.Context, s *site.Site, now time.Time) ([]outputUses, error) {
	st, err := a.statusOf(ctx, s, now)
	if err != nil {
		return nil, err
	}
	uses := []outputUses{}
	for i, o := range s.Outputs {
		n := st.Outputs[i]
		u := outputUses{Name: o.Name, Device: o.Device, LevelDB: o.LevelDB, State: n.State, Since: n.Since, Problem: n.Problem}
		if site.OnCard(o.Device) {
			look, err := devices.Inspect(site.Card(ctx, s.Store, o).Device, !st.Running)
			u.PCM, u.Control, u.Muted, u.HeldBy = look.Device, look.Level, look.Muted, look.HeldBy
			if err != nil && u.Problem == "" {
				u.Problem = say.In(a.Language(), err)
			}
		}
		uses = append(uses, u)
	}
	return uses, nil
}

func (a *app) showDevices(l listed) {
	if len(l.Cards) == 0 {
		a.Println(a.Say("technician.no_cards"))
	} else {
		t := a.NewTable(cli.Key(a.Say("technician.write")), cli.Title(a.Say("technician.card")), cli.Message(a.Say("technician.use")), cli.Message(a.Say("technician.mixer")))
		for _, c := range l.Cards {
			for i, p := range c.PCMs {
				mixer := ""
				if i == 0 {
					mixer = a.mixerLine(c.Controls)
				}
				t.Add(p.Name, c.Name+" · "+p.Description, a.heldBy(p.HeldBy), mixer)
			}
		}
		fmt.Fprint(a.Out, t.Page())
	}
	if len(l.Other) > 0 {
		a.Println("")
		t := a.NewTable(cli.Key(a.Say("technician.write")), cli.Title(a.Say("technician.other")))
		for _, p := range l.Other {
			name := p.Name
			if !strings.Contains(name, ":") && !slices.Contains([]string{"default", "sysdefault"}, name) {
				name = "alsa:" + name
			}
			t.Add(name, p.Description)
		}
		fmt.Fprint(a.Out, t.Page())
	}
	if len(l.Outputs) == 0 {
		return
	}
	a.Println("")
	t := a.NewTable(cli.Title(a.Say("view.by_output")), cli.Message(a.Say("technician.device")), ">"+a.Say("view.level"), cli.Message(a.Say("technician.mixer")),
		cli.Key(a.Say("view.state")), cli.Message(a.Say("technician.problem")))
	for _, o := range l.Outputs {
		device := o.Device
		if o.PCM != "" && o.PCM != o.Device {
			device += " → " + o.PCM
		}
		mixer := ""
		if o.Control != nil {
			mixer = a.mixerLine([]devices.Control{*o.Control})
		}
		t.Add(o.Name, device, fmt.Sprintf("%g", o.LevelDB), mixer, cli.Tint(a.Word("view.state_", string(o.State)), stateTone(o.State)), cli.Tint(o.Problem, cli.Bad))
	}
	fmt.Fprint(a.Out, t.Page())
}

func (a *app) heldBy(h []devices.Holder) cli.Cell {
	if len(h) == 0 {
		return cli.Tint(a.Say("technician.free"), cli.Good)
	}
	var names []string
	for _, by := range h {
		if by.PID == os.Getpid() {
			continue
		}
		names = append(names, fmt.Sprintf("%s (%d)", by.Name, by.PID))
	}
	return cli.Tint(a.Say("technician.held", strings.Join(names, " ")), cli.Warn)
}

// mixerLine is a mixer's controls as "Master -20 dB", with a mark if it is muted.
func (a *app) mixerLine(all []devices.Control) string {
	var parts []string
	for _, c := range all {
		text := c.Name
		if c.Scale {
			text += fmt.Sprintf(" %.1f dB", c.DB)
		}
		if c.Switch && !c.On {
			text += " " + a.Say("technician.muted")
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "  ")
}
