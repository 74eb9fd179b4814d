package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"dalaba/county"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
	"dalaba/tools/attack"
)

// attacked are the times that what has to work took, in milliseconds.
type attacked struct{ status, alert, login []float64 }

// attack measures what a county's operator and its broker do while strangers attack it,
// beside the same while none does. The attackers are in this process, and so take a good
// part of the machine themselves.
func (b *bench) attack(ctx context.Context) (figures []Figure, err error) {
	ctx, cancel := context.WithTimeout(ctx, countyLimit)
	defer cancel()
	c, err := b.newCentre(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.end()) }()
	login, err := c.brokerLogin()
	if err != nil {
		return nil, err
	}
	rounds := 50
	if b.short {
		rounds = 2
	}
	target, err := url.Parse(c.url)
	if err != nil {
		return nil, err
	}
	var peace attacked
	if err := peace.measure(ctx, c, login, rounds); err != nil {
		return nil, err
	}
	before, err := peakMemory(c.cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	for _, k := range attack.Kinds {
		var war attacked
		on, stop := context.WithCancel(ctx)
		var attacker sync.WaitGroup
		attacker.Go(func() { k.Run(on, target.Host) })
		err := war.measure(ctx, c, login, rounds)
		stop()
		attacker.Wait()
		if err != nil {
			return figures, fmt.Errorf("%s: %w", k.Name, err)
		}
		for _, of := range []struct {
			what      string
			war, calm []float64
		}{{"status", war.status, peace.status}, {"alert accepted", war.alert, peace.alert}, {"broker login", war.login, peace.login}} {
			for _, q := range []struct {
				name string
				at   float64
			}{{"p50", 0.5}, {"p99", 0.99}} {
				figures = append(figures, figure(fmt.Sprintf("%s: %s, %s", k.Name, of.what, q.name),
					quantile(of.war, q.at), "ms", "the same county, not attacked", quantile(of.calm, q.at), len(of.war)))
			}
		}
	}
	peak, err := peakMemory(c.cmd.Process.Pid)
	return append(figures, figure("attacks: the county's peak memory", float64(peak)/(1<<20), "MiB", "before them", float64(before)/(1<<20), 1)), err
}

// measure does what has to work, that many times.
func (a *attacked) measure(ctx context.Context, c *centre, login func(context.Context) error, rounds int) error {
	for range rounds {
		var err error
		a.status = append(a.status, timed(1, func() { err = c.call(ctx, http.MethodGet, "/api/status", nil, nil) })...)
		if err != nil {
			return err
		}
		var v county.Verdict
		a.alert = append(a.alert, timed(1, func() {
			err = c.post(ctx, "/api/alerts?anyway=1", county.ByHand{
				Title: "drill", Text: "请马上往高处转移。", Level: emergency.Red, Scopes: []playlist.Scope{playlist.AreaScope(countyArea)},
			}, &v)
		})...)
		if err != nil {
			return err
		}
		if err := c.call(ctx, http.MethodPost, "/api/cancel?id="+url.QueryEscape(string(v.ID)), nil, nil); err != nil {
			return err
		}
		a.login = append(a.login, timed(1, func() { err = login(ctx) })...)
		if err != nil {
			return err
		}
	}
	return nil
}

// brokerLogin returns what connects to the county's broker anew, by TCP and TLS, logs
// in and is answered.
func (c *centre) brokerLogin() (func(context.Context) error, error) {
	authority, err := link.ReadAuthority(filepath.Join(c.dir, "data", "keys", "broker.json"))
	if err != nil {
		return nil, err
	}
	creds, err := authority.Creds(link.UserEdge)
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(filepath.Join(c.dir, "data", "tls", "ca.pem"))
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		in := make(chan struct{})
		nc, err := link.Dial("bench", []string{"tls://" + c.broker}, string(ca), creds, nats.ConnectHandler(func(*nats.Conn) { close(in) }))
		if err != nil {
			return err
		}
		defer nc.Close()
		select {
		case <-in:
			return nc.FlushWithContext(ctx)
		case <-ctx.Done():
			return fmt.Errorf("the broker lets nobody in: %w", ctx.Err())
		}
	}, nil
}
