//go:build race

package publish_test

// shareOfPosts: with the race detector the comments of one pull request in so many are posted.
const shareOfPosts = 5
