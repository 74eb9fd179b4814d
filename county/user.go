package county

import "context"

// userKey is the key of a context's user.
type userKey struct{}

// As returns a context for what a user does: a name, or "local:" and the name of a user of
// this machine.
func As(ctx context.Context, user string) context.Context {
	return context.WithValue(ctx, userKey{}, user)
}

// userOf returns who does something; empty if it is the county itself.
func userOf(ctx context.Context) string {
	user, _ := ctx.Value(userKey{}).(string)
	return user
}
