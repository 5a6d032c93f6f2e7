#!/usr/bin/env node
import '../dist/cli/qsnap.js';
