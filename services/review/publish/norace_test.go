//go:build !race

package publish_test

// shareOfPosts: those of every pull request.
const shareOfPosts = 1
