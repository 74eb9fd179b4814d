package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"dalaba/controller/hand"
	"dalaba/controller/status"
	"dalaba/data"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
	"dalaba/playlist/schedule"
	"dalaba/web"
)

const dialTimeout = 5 * time.Second

// Client asks the daemon of a data folder. Errors are for people, in its language.
type Client struct {
	dir string
	web web.Client
}

// Ask returns a client of the daemon that holds a data folder. If no daemon does,
// or it cannot be asked, the error says what to do.
//
// The error is [ErrNotRunning] if no daemon holds it.
func Ask(ctx context.Context, dataDir string, lang say.Lang) (*Client, error) {
	_, running := data.Running(dataDir)
	hidden := !running && data.Hidden(dataDir)
	// A user who may ask the daemon need not be able to look into its folder.
	if !running && !hidden {
		if st, ok := machine(ctx, lang); !ok || !sameFile(st.DataDir, dataDir) {
			return nil, notRunning{ErrNotRunning, say.M("run.not_running", dataDir)}
		}
	}
	dir, err := filepath.Abs(dataDir)
	if err != nil {
		return nil, err
	}
	var denied, last error
	for _, path := range places(dir) {
		c := &Client{dir: dir, web: web.Client{Base: "http://dalaba", Lang: lang, Header: http.Header{DirHeader: {dir}}, HTTP: web.OverSocket(path)}}
		switch err := c.hello(ctx); {
		case err == nil:
			return c, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case hidden && filepath.Dir(path) == dir && errors.Is(err, fs.ErrPermission): // it may not even be there
		case errors.Is(err, fs.ErrPermission), isStatus(err, http.StatusForbidden):
			denied = say.M("control.denied")
		case errors.Is(err, fs.ErrNotExist), isStatus(err, http.StatusMisdirectedRequest):
		default:
			last = say.M("technician.no_socket", path, err)
		}
	}
	if denied != nil {
		return nil, denied
	}
	for _, path := range oldPlaces(dir) { // a daemon of today has removed them
		if fi, err := os.Lstat(path); err == nil && fi.Mode().Type() == fs.ModeSocket && data.Ours(dir, path) {
			return nil, say.M("control.old_daemon")
		}
	}
	if last != nil {
		return nil, last
	}
	if hidden {
		return nil, say.M("control.hidden", dataDir)
	}
	if path := filepath.Join(dir, socketName) + ".new"; len(path) > maxPath {
		return nil, say.M("technician.long_path", dir, maxPath-len("/"+socketName+".new"))
	}
	return nil, say.M("control.no_socket")
}

// machine returns the status of the daemon that has this machine's control socket, of
// whatever config and data folder; ok is false if there is none that this user may ask.
func machine(ctx context.Context, lang say.Lang) (st status.Status, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	c := &Client{web: web.Client{Base: "http://dalaba", Lang: lang, HTTP: web.OverSocket(filepath.Join(runDir(), socketName))}}
	st, err := c.Status(ctx)
	return st, err == nil && st.Running
}

// ByConfig returns the status of the daemon of this machine, if that reads that config file and
// this user may ask it.
func ByConfig(ctx context.Context, file string, lang say.Lang) (st status.Status, ok bool) {
	st, ok = machine(ctx, lang)
	return st, ok && sameFile(st.Config.File, file)
}

var (
	// ErrNotRunning says that no daemon holds the data folder.
	ErrNotRunning = errors.New("no daemon holds the data folder")

	// ErrElsewhere says that the daemon of this machine holds another data folder.
	ErrElsewhere = errors.New("the daemon holds another data folder")
)

// notRunning is one of these errors, with a text for people.
type notRunning struct {
	is error
	say.Message
}

func (n notRunning) Is(target error) bool { return target == n.is }
func (n notRunning) Unwrap() error        { return n.Message }

// NotRunning returns why no daemon holds the data folder dir, which the config file
// names: [ErrElsewhere] if the daemon of this machine holds another, else
// [ErrNotRunning].
func NotRunning(ctx context.Context, file, dir string, lang say.Lang) error {
	dir = absolute(dir)
	st, ok := machine(ctx, lang)
	switch {
	case !ok || sameFile(st.DataDir, dir):
		return notRunning{ErrNotRunning, say.M("run.not_running", dir)}
	case sameFile(st.Config.File, file):
		return notRunning{ErrElsewhere, DirChanged(st, dir)}
	}
	return notRunning{ErrElsewhere, say.M("control.other_site", st.Config.File, st.DataDir, absolute(file), dir)}
}

// DirChanged says that a daemon's config file names another data folder than it holds.
func DirChanged(st status.Status, dir string) say.Message {
	return say.M("control.dir_changed", st.Config.File, st.DataDir, absolute(dir))
}

func isStatus(err error, status int) bool {
	f := new(web.Failed)
	return errors.As(err, &f) && f.Status == status
}

// hello looks whether the daemon is the one meant. That has no effect there.
func (c *Client) hello(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	return c.web.Post(ctx, "/v1/stop", Stop{}, nil)
}

// Status asks how the controller is.
func (c *Client) Status(ctx context.Context) (st status.Status, err error) {
	err = c.web.Get(ctx, "/v1/status", &st)
	return st, err
}

// State asks what sounds, waits and is owed. The daemon one version back cannot say: then
// it is nil.
func (c *Client) State(ctx context.Context) (*schedule.State, error) {
	s := &schedule.State{}
	if err := c.web.Get(ctx, "/v1/state", s); isStatus(err, http.StatusNotFound) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	return s, nil
}

// Reload has the daemon read its config again. A refusal is a [*web.Failed] with
// the problems.
func (c *Client) Reload(ctx context.Context, r Reload) (got Reloaded, err error) {
	if r.Config, err = filepath.Abs(r.Config); err != nil {
		return got, err
	}
	err = c.web.Post(ctx, "/v1/reload", r, &got)
	return got, err
}

// Play has the daemon sound an order, and reports progress. If ctx ends, it stops
// the sound and still returns what was heard, with Stopped.
func (c *Client) Play(ctx context.Context, o hand.Order, report func(hand.Report)) (hand.Report, error) {
	if o.IsTone() {
		return c.sound(ctx, "/v1/tone", o, report)
	}
	return c.sound(ctx, "/v1/play", o, report)
}

// SpeakLive opens the emergency microphone until ctx ends.
func (c *Client) SpeakLive(ctx context.Context, report func(hand.Report)) (hand.Report, error) {
	return c.sound(ctx, "/v1/mic", nil, report)
}

func (c *Client) sound(ctx context.Context, path string, order any, report func(hand.Report)) (hand.Report, error) {
	running := context.WithoutCancel(ctx)
	var last Sound
	unhook := func() bool { return true }
	defer func() { unhook() }()
	err := c.web.Stream(running, path, order, func(line json.RawMessage) error {
		var s Sound
		if err := json.Unmarshal(line, &s); err != nil {
			return err
		}
		switch {
		case s.Over:
			last = s
		case s.ID != "":
			unhook = context.AfterFunc(ctx, func() { c.stopSound(running, s.ID) })
		default:
			report(s.Report)
		}
		return nil
	})
	switch {
	case err != nil:
		return last.Report, brokeOff(err)
	case !last.Over:
		return last.Report, say.M("technician.broke_off", "")
	case last.Error != "":
		return last.Report, errors.New(last.Error)
	}
	return last.Report, nil
}

// stopSound stops a sound. If that fails, the stream's own end tells.
func (c *Client) stopSound(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	_ = c.web.Post(ctx, "/v1/stop", Stop{ID: id}, nil)
}

// brokeOff leaves a refusal as it is, and says of another error that the stream
// broke off.
func brokeOff(err error) error {
	if errors.As(err, new(*web.Failed)) {
		return err
	}
	return say.M("technician.broke_off", err)
}

// TakeAlert hands in the bytes of an emergency message.
func (c *Client) TakeAlert(ctx context.Context, raw []byte) (got Taken, err error) {
	err = c.web.Post(ctx, "/v1/alerts", raw, &got)
	return got, err
}

// TakeMade hands in an alert that was made at the site, in the place of the alerts of
// those IDs. A daemon one version back takes it as any that is handed in.
func (c *Client) TakeMade(ctx context.Context, raw []byte, retires []playlist.AlertID) (got Taken, err error) {
	query := url.Values{"made": {"1"}}
	for _, id := range retires {
		query.Add("retires", string(id))
	}
	err = c.web.Post(ctx, "/v1/alerts?"+query.Encode(), raw, &got)
	return got, err
}

// CancelAlert ends an alert.
func (c *Client) CancelAlert(ctx context.Context, id playlist.AlertID) (got Taken, err error) {
	err = c.web.Post(ctx, "/v1/alerts/cancel", Cancel{ID: id}, &got)
	return got, err
}

// Alerts returns the alerts that came, the latest first.
func (c *Client) Alerts(ctx context.Context) (all []emergency.Record, err error) {
	err = oldDaemon(c.web.Get(ctx, "/v1/alerts", &all))
	return all, err
}

// Clips returns what the library has.
func (c *Client) Clips(ctx context.Context) (s Shelf, err error) {
	err = oldDaemon(c.web.Get(ctx, "/v1/clips", &s))
	return s, err
}

// oldDaemon says of a request that the daemon does not know that it is to be restarted.
func oldDaemon(err error) error {
	if isStatus(err, http.StatusNotFound) || isStatus(err, http.StatusMethodNotAllowed) {
		return say.M("control.old_daemon")
	}
	return err
}

// Carry has the daemon take in what a stick brings.
func (c *Client) Carry(ctx context.Context, dir string) (got Carried, err error) {
	var last carriedLine
	err = c.web.Stream(ctx, "/v1/import", Stick{Dir: dir}, func(line json.RawMessage) error { return json.Unmarshal(line, &last) })
	switch {
	case err != nil:
		return got, brokeOff(err)
	case last.Carried == nil:
		return got, say.M("technician.broke_off", "")
	case last.Error != "":
		return *last.Carried, errors.New(last.Error)
	}
	return *last.Carried, nil
}

// Events returns at most limit events of the device log after an ID, or the last
// ones if it is 0.
func (c *Client) Events(ctx context.Context, after int64, limit int) (all []asrun.Event, err error) {
	err = c.web.Get(ctx, fmt.Sprintf("/v1/log?after=%d&limit=%d", after, limit), &all)
	return all, err
}
