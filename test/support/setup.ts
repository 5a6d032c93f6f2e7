import { afterAll } from 'vitest';
import { removeDirectories } from './directories.js';

afterAll(removeDirectories);
