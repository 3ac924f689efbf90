// The ownership functions of CoreFoundation on Objective-C objects.
#pragma once
#import <Foundation/Foundation.h>

typedef const void* CFTypeRef;

static inline CFTypeRef CFRetain(CFTypeRef object) {
  return (CFTypeRef)[(id)object retain];
}
static inline void CFRelease(CFTypeRef object) {
  [(id)object release];
}
static inline CFTypeRef CFBridgingRetain(id object) {
  return (CFTypeRef)[object retain];
}
static inline id CFBridgingRelease(CFTypeRef object) {
  return [(id)object autorelease];
}
