package say

// Words is the whole catalogue by key.
func Words() map[string]entry { return words() }
