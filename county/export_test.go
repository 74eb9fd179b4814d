package county

import (
	"context"
	"time"
)

// AccountNow accounts for what fell due, as Run does each minute.
func AccountNow(ctx context.Context, c *County) error { return c.account(ctx) }

// IssueMember tells a controller anew who it is.
var IssueMember = (*County).issueMember

// SettleNow moves alerts on, as Run does each second.
func SettleNow(ctx context.Context, c *County) error { return c.settle(ctx) }

// PushAccountNow has the broker know who is revoked, as Run does each minute.
func PushAccountNow(ctx context.Context, c *County) error { return c.pushAccount(ctx) }

// Poll asks a feed until ctx ends, as Run does.
var Poll = (*County).poll

// SettleOften has Run move alerts on more often than each second. It is to be
// called before any county runs.
func SettleOften(d time.Duration) { settleEvery = d }
