package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/data"
	"dalaba/playlist/config"
	"dalaba/playlist/say"
)

// What the log says of a reload, with the hash of the file it speaks of; the
// verb waits for it.
const (
	noteReloaded  = "config in force"
	noteRefused   = "config refused, the old one stays in force"
	noteNextStart = "changed keys take effect at the next start"
)

// digest names a config's bytes in the log.
func digest(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// reload puts a changed config in force as a whole, or not at all.
func (d *daemon) reload(ctx context.Context) {
	text, err := d.readConfig()
	refuse := func(why string) {
		d.log.Error(noteRefused, "config", d.config, "sha256", digest(text), "why", why)
	}
	if err != nil {
		refuse(say.In(d.Language(), err))
		return
	}
	cfg, problems := config.Read(d.config, text, &library{ctx: ctx, store: d.site.store, keep: true})
	if config.Refused(problems) {
		refuse(strings.Join(d.lines(problems), "\n"))
		return
	}
	if cfg.Site.DataDir != d.site.Site.DataDir {
		refuse(say.M("run.data_dir_fixed").In(d.Language()))
		return
	}
	d.own = cfg
	if cfg = d.inForce(ctx); cfg == nil {
		return
	}
	nudge(d.county.again) // it may have been enrolled
	d.clock.source.Store(cfg.Site.Clock)
	d.keepConfig(cfg.Site.DataDir, text)
	d.keep(ctx, stateConfig, d.now().UTC().Format(time.RFC3339))
	keys := strings.Join(lasting(d.begun, cfg), ", ")
	if keys != "" {
		d.log.Warn(noteNextStart, "keys", keys)
	}
	d.log.Info(noteReloaded, "config", d.config, "sha256", digest(text), "outputs", len(cfg.Outputs), "slots", len(cfg.Slots), "next_start", keys)
}

// reloadCmd makes a running daemon read its config again.
func (a *app) reloadCmd() *cobra.Command {
	return a.JSONFlag(&cobra.Command{
		Use:   "reload",
		Short: a.Say("run.reload_short"),
		RunE:  func(c *cobra.Command, _ []string) error { return a.reload(c.Context()) },
	})
}

// reloaded is `dalaba reload --json`.
type reloaded struct {
	Config  string `json:"config"`
	SHA256  string `json:"sha256"` // of the file that is in force now
	Outputs int    `json:"outputs"`
	Slots   int    `json:"slots"`

	NextStart []string `json:"next_start"` // changed keys that take effect only then
}

const (
	reloadWait  = 20 * time.Second
	reloadDoubt = 2 * time.Second // a refusal of what this reading took may answer an earlier signal
)

// reload has the daemon put the file in force as it stands. A file that this
// reading refuses is not offered to it; what it answers to another file, such
// as an earlier one, is not taken for its answer to this one.
func (a *app) reload(ctx context.Context) (err error) {
	text, err := a.readConfig()
	if err != nil {
		return err
	}
	dir, err := a.dataDir(ctx, text)
	if err != nil {
		return err
	}
	store, err := data.OpenReadOnly(ctx, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return say.M("cli.no_store", dir)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	cfg, problems := config.Read(a.config, text, &library{ctx: ctx, store: store, mixers: true})
	a.tell(problems)
	if config.Refused(problems) {
		return a.notReloaded()
	}
	pid, ok := data.Running(dir)
	if !ok || pid == 0 {
		return say.M("run.not_running", dir)
	}
	seen := int64(0)
	if last, err := store.Events(ctx, 0, 1); err != nil {
		return err
	} else if len(last) > 0 {
		seen = last[len(last)-1].ID
	}
	if err := syscall.Kill(pid, syscall.SIGHUP); err != nil {
		return say.M("run.no_signal", pid, err)
	}
	e, err := a.reloadAnswer(ctx, store, seen, digest(text))
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return say.M("run.no_answer", pid)
	case err != nil:
		return err
	case e.Message == noteRefused:
		a.Tell(fmt.Sprint(e.Attrs["why"]))
		return a.notReloaded()
	}
	later := []string{}
	if keys, ok := e.Attrs["next_start"].(string); ok && keys != "" {
		later = strings.Split(keys, ", ")
	}
	if a.JSON {
		return json.NewEncoder(a.Out).Encode(reloaded{a.config, fmt.Sprint(e.Attrs["sha256"]), len(cfg.Outputs), len(cfg.Slots), later})
	}
	a.Println(a.Say("run.reloaded", len(cfg.Outputs), len(cfg.Slots)))
	if len(later) > 0 {
		a.Println(a.Say("run.next_start", strings.Join(later, a.Say("view.comma"))))
	}
	return nil
}

func (a *app) notReloaded() error {
	if !a.JSON {
		a.Println(a.Say("run.reload_refused"))
	}
	return cli.Refuse(cli.ErrTold)
}

// reloadAnswer waits for what the log says, after the event seen, of the file
// with that hash. Where the file has changed since it was offered, the daemon
// speaks of it as it is now: that is an answer too. The clips that the file
// names may have changed as well, so a refusal is doubted for a while: another
// answer may follow.
func (a *app) reloadAnswer(ctx context.Context, store *data.Store, seen int64, want string) (data.Event, error) {
	ctx, cancel := context.WithTimeout(ctx, reloadWait)
	defer cancel()
	var refused data.Event
	var until time.Time
	for {
		events, err := store.Events(ctx, seen, 0)
		if err != nil {
			return data.Event{}, err
		}
		for _, e := range events {
			seen = e.ID
			if e.Message != noteReloaded && e.Message != noteRefused {
				continue
			}
			if e.Attrs["sha256"] != want {
				if now, err := a.readConfig(); err != nil || e.Attrs["sha256"] != digest(now) {
					continue
				}
			}
			if e.Message == noteReloaded {
				return e, nil
			}
			refused, until = e, time.Now().Add(reloadDoubt)
		}
		if refused.ID > 0 && time.Now().After(until) {
			return refused, nil
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return data.Event{}, err
		}
	}
}
